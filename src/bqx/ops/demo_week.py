"""The page's drawing of one week: price, momentum and three features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.report import Figure, Heading, Report, Table
from bqx.features.catalogue import column
from bqx.market.calendar import DAY, datetime_of
from bqx.ops.demo_facts import Facts
from bqx.ops.plots import ACCENT, FAINT, INK, SHADE, SOFT, add_stamp, drawing, quiet_axes, thin, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
SHOWN = (
    "base_bqx.M_15",
    "returns_raw_rate.ret_60",
    "returns_std_rate.retz_240",
    "returns_std_bqx.retz_60",
)
"""Columns drawn below the price, where they are built."""
FAVOURITE = "eurusd"


@dataclass(frozen=True)
class Line:
    """A series of the week: values at the grid minutes, NaN for NULL."""

    name: str
    unit: str
    values: F8


def week_section(report: Report, facts: Facts, stamp: str) -> None:
    """One week around a closure of the market, of EURUSD if it is there."""
    pair = FAVOURITE if FAVOURITE in facts.pairs else facts.pairs[0]
    start, end = _week(facts)
    wanted = [name for name in SHOWN if _is_built(facts, pair, name)]
    frame = facts.project.frame(pair, columns=wanted, start=start, end=end)
    if frame.is_empty():
        return
    minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    bars = facts.project.bars.read([pair], start, end)[pair]
    price = frame.select("ts_utc").join(bars.select("ts_utc", "close"), on="ts_utc", how="left", maintain_order="left")
    lines = [Line(f"{pair.upper()} price", "close", _floats(price["close"]))]
    for name in wanted:
        home, item = column(name)
        lines.append(Line(f"{home.name}.{item.name}", item.unit, _floats(frame[name])))
    closures = facts.project.calendar.closures(start, end)
    days = f"{datetime_of(start):%Y-%m-%d} to {datetime_of(end - 1):%Y-%m-%d}"
    report.add(
        Heading("One week of it"),
        Figure(
            week_chart(minute, lines, closures, stamp),
            f"{pair.upper()}, {days} (UTC): price, the oriented momentum M over 15 minutes, and features. "
            "Minutes that were not quoted are gaps in the price; closures are shaded.",
            f"{len(lines)} series of {pair.upper()} from {days}: {', '.join(line.name for line in lines)}",
            paper=False,
        ),
        Table(
            ["column", "formula", "unit", "bars of warm-up"],
            [[name, item.formula, item.unit, item.warmup] for name, item in ((n, column(n)[1]) for n in wanted)],
            caption="The columns drawn, as declared",
        ),
    )


def _is_built(facts: Facts, pair: str, name: str) -> bool:
    home, item = name.split(".")
    return any(p.key.pair == pair and item in p.columns for p in facts.of(home))


def _week(facts: Facts) -> tuple[int, int]:
    """Seven days of the built span with the middle one of its closures inside, 3 days after their start."""
    first, last = facts.span
    inside = [shut for shut, opens in facts.project.calendar.closures(first, last) if opens <= last]
    start = max(first, inside[len(inside) // 2] - 3 * DAY) if inside else first
    start = max(first, min(start, last + 1 - 7 * DAY))
    return start, min(start + 7 * DAY, last + 1)


def _floats(values: pl.Series) -> F8:
    return np.asarray(values.cast(pl.Float64).fill_null(np.nan).to_numpy(), dtype=np.float64)


def week_chart(minute: I8, lines: Sequence[Line], closures: Sequence[tuple[int, int]], stamp: str = "") -> str:
    """Small multiples over the same minutes, market closures shaded. `minute` holds open minutes."""
    from matplotlib.ticker import MaxNLocator

    height = 1.02 * len(lines) + 0.72
    start, end = int(minute[0]), int(minute[-1]) + 1
    with drawing(9.4, height) as figure:
        axes = figure.subplots(len(lines), 1, sharex=True, squeeze=False)[:, 0]
        figure.subplots_adjust(left=0.085, right=0.992, top=1 - 0.3 / height, bottom=0.45 / height, hspace=0.42)
        for k, (ax, line) in enumerate(zip(axes, lines, strict=True)):
            for shut, opens in closures:
                ax.axvspan(max(shut, start), min(opens, end), color=SHADE, linewidth=0)
                if k == 0:
                    middle = (max(shut, start) + min(opens, end)) / 2
                    ax.text(middle, 0.5, "market closed", transform=ax.get_xaxis_transform(), color=FAINT,
                            ha="center", va="center", fontsize=7.5)  # fmt: skip
            x, y = thin(*_with_breaks(minute, line.values))
            ax.plot(x, y, color=ACCENT, linewidth=0.8)
            _title(ax, line)
            quiet_axes(ax)
            ax.yaxis.set_major_locator(MaxNLocator(3))
            ax.margins(x=0, y=0.08)
        _day_ticks(axes[-1], start, end)
        for ax in axes[:-1]:
            ax.tick_params(axis="x", length=0)
            ax.spines["bottom"].set_visible(False)
        add_stamp(figure, stamp)
        return to_svg(figure, narrowest=640)


def _title(ax: Axes, line: Line) -> None:
    ax.annotate(line.name, (0, 1), (0, 4), "axes fraction", "offset points", fontsize=8.0, color=INK, weight="bold")
    ax.annotate(line.unit, (1, 1), (0, 4), "axes fraction", "offset points", fontsize=7.5, color=SOFT, ha="right")


def _day_ticks(ax: Axes, start: int, end: int) -> None:
    first = -(-start // 1440) * 1440
    days = np.arange(first, end, 1440)
    days = days[:: max(1, len(days) // 8)]
    ax.set_xticks(days, [f"{datetime_of(int(d)):%a %-d %b}" for d in days])
    ax.set_xlim(start, end)


def _with_breaks(minute: I8, values: F8) -> tuple[F8, F8]:
    """A NaN between minutes that do not follow each other, so that no line is drawn across a closure."""
    cut = np.flatnonzero(np.diff(minute) > 1) + 1
    x = np.insert(minute.astype(np.float64), cut, minute[cut] - 0.5)
    return x, np.insert(values, cut, np.nan)
