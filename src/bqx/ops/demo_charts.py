"""The drawings of the demo page: coverage, one week of series, skill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import datetime_of
from bqx.ops.plots import ACCENT, FAINT, INK, LINE, SHADE, SOFT, drawing, quiet_axes, thin, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bqx.research.skill import Skill

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
RAMP = ("#f3e9d2", "#b9d6c2", "#6fb0a8", "#2c7f82", "#0d4a55")
"""Light to dark in even steps of lightness; told apart without colour."""


@dataclass(frozen=True)
class Line:
    """A series of the week: values at the grid minutes, NaN for NULL."""

    name: str
    unit: str
    values: F8


def coverage_chart(pairs: Sequence[str], datasets: Sequence[str], share: F8, stamp: str = "") -> str:
    """Share of non-NULL values, (pairs, datasets) in 0..1, NaN where nothing is built: a cell each, its per cent inside."""
    from matplotlib.colors import LinearSegmentedColormap

    ramp = LinearSegmentedColormap.from_list("bqx", list(RAMP))
    low = floor_of(share)
    wide = len(datasets) > 12
    height = 0.235 * len(pairs) + (1.5 if wide else 0.95)
    with drawing(9.4, height) as figure:
        ax = figure.add_axes((0.085, 0.5 / height, 0.905, 0.235 * len(pairs) / height))
        for i in range(len(pairs)):
            for j in range(len(datasets)):
                _cell(ax, i, j, float(share[i, j]), low, ramp)
        ax.set(xlim=(-0.5, len(datasets) - 0.5), ylim=(len(pairs) - 0.5, -0.5))
        ax.set_yticks(range(len(pairs)), [p.upper() for p in pairs])
        ax.set_xticks(
            range(len(datasets)), datasets, rotation=50 if wide else 0, ha="left" if wide else "center"
        )
        ax.xaxis.tick_top()
        ax.tick_params(length=0, labelcolor=INK)
        ax.spines[:].set_visible(False)
        key = figure.add_axes((0.085, 0.22 / height, 0.26, 0.1 / height))
        steps = np.linspace(0.0, 1.0, 40)
        for k, step in enumerate(steps):
            key.axvspan(k, k + 1.02, color=ramp(step), linewidth=0)
        key.set(xlim=(0, len(steps)), ylim=(0, 1), yticks=[])
        key.set_xticks([0, len(steps)], [f"{100 * low:.0f} %", "100 % non-NULL"])
        key.tick_params(length=0)
        key.spines[:].set_visible(False)
        _stamp(figure, stamp)
        return to_svg(figure, narrowest=max(640, 44 * len(datasets) + 90))


def floor_of(share: F8) -> float:
    """Where the colour ramp begins: 20 % steps below the least share, at most 80 %."""
    known = share[np.isfinite(share)]
    return float(min(np.floor(5.0 * known.min()) / 5.0, 0.8)) if len(known) else 0.0


def _cell(ax: Axes, i: int, j: int, value: float, low: float, ramp: object) -> None:
    from matplotlib.patches import Rectangle

    corner, size = (j - 0.48, i - 0.46), (0.96, 0.92)
    if not np.isfinite(value):
        ax.add_patch(Rectangle(corner, *size, facecolor="none", edgecolor=LINE, linewidth=0.8))
        ax.text(j, i, "not built", ha="center", va="center", fontsize=6.5, color=FAINT)
        return
    at = (value - low) / (1.0 - low)
    ax.add_patch(Rectangle(corner, *size, facecolor=ramp(at), linewidth=0))  # type: ignore[operator]
    ax.text(
        j,
        i,
        percent(value),
        ha="center",
        va="center",
        fontsize=7.0,
        color="#fefefe" if at > 0.55 else "#20282c",
    )


def percent(share: float) -> str:
    """Never rounds up to 100 or down to 0.

    >>> [percent(s) for s in (1.0, 0.99999, 0.0, 0.00001, 0.5)]
    ['100', '99.9', '0', '0.1', '50.0']
    """
    if share in (0.0, 1.0):
        return f"{100 * share:.0f}"
    return f"{min(max(100 * share, 0.1), 99.9):.1f}" if not 0.001 < share < 0.999 else f"{100 * share:.1f}"


def week_chart(
    minute: I8, lines: Sequence[Line], closures: Sequence[tuple[int, int]], stamp: str = ""
) -> str:
    """Small multiples over the same minutes, market closures shaded. `minute` holds open minutes."""
    height = 1.02 * len(lines) + 0.55
    start, end = int(minute[0]), int(minute[-1]) + 1
    with drawing(9.4, height) as figure:
        axes = figure.subplots(len(lines), 1, sharex=True, squeeze=False)[:, 0]
        figure.subplots_adjust(
            left=0.085, right=0.992, top=1 - 0.3 / height, bottom=0.3 / height, hspace=0.42
        )
        for k, (ax, line) in enumerate(zip(axes, lines, strict=True)):
            for shut, opens in closures:
                ax.axvspan(max(shut, start), min(opens, end), color=SHADE, linewidth=0)
                if k == 0:
                    middle = (max(shut, start) + min(opens, end)) / 2
                    ax.text(middle, 0.5, "market closed", transform=ax.get_xaxis_transform(), color=FAINT,
                            ha="center", va="center", fontsize=7.5)  # fmt: skip
            x, y = thin(*_with_breaks(minute, line.values))
            ax.plot(x, y, color=ACCENT, linewidth=0.85)
            _title(ax, line)
            quiet_axes(ax)
            ax.yaxis.set_major_locator(_few_ticks())
            ax.margins(x=0, y=0.08)
        _day_ticks(axes[-1], start, end)
        for ax in axes[:-1]:
            ax.tick_params(axis="x", length=0)
            ax.spines["bottom"].set_visible(False)
        _stamp(figure, stamp)
        return to_svg(figure, narrowest=640)


def _title(ax: Axes, line: Line) -> None:
    ax.annotate(
        line.name, (0, 1), (0, 4), "axes fraction", "offset points", fontsize=8.0, color=INK, weight="bold"
    )
    ax.annotate(
        line.unit, (1, 1), (0, 4), "axes fraction", "offset points", fontsize=7.5, color=SOFT, ha="right"
    )


def _few_ticks() -> object:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3)


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


def skill_chart(rows: Sequence[Skill], stamp: str = "") -> str:
    """Skill with its interval by horizon, the reach of noise shaded; per cent."""
    height = 0.36 * len(rows) + 1.0
    with drawing(9.4, height) as figure:
        ax = figure.add_axes((0.13, 0.52 / height, 0.85, 0.36 * len(rows) / height))
        for k, row in enumerate(rows):
            pooled = row.horizon is None
            low, high, skill = (100 * v for v in (row.low, row.high, row.skill))
            left, right = sorted((100 * row.noise_mean, 100 * row.noise_95))
            ax.barh(k, right - left, left=left, height=0.62, color=FAINT, alpha=0.32, linewidth=0)
            ax.plot([low, high], [k, k], color=ACCENT, linewidth=2.4 if pooled else 1.5)
            ax.plot(
                [skill], [k], marker="D" if pooled else "o", markersize=6.5 if pooled else 5, color=ACCENT
            )
        ax.axvline(0, color=SOFT, linewidth=0.9)
        names = ["all horizons" if row.horizon is None else f"h = {row.horizon} min" for row in rows]
        ax.set_yticks(range(len(rows)), names)
        for text, row in zip(ax.get_yticklabels(), rows, strict=True):
            text.set(color=INK, weight="bold" if row.horizon is None else "normal")
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlabel("skill against the random-walk forecast, % of its squared error", fontsize=8.0)
        quiet_axes(ax, grid="x")
        ax.spines["bottom"].set_visible(False)
        for x, text, colour in (
            (0.13, "● skill and 95 % interval", ACCENT),
            (0.33, "■ mean to 95 % of what noise scores", FAINT),
        ):
            figure.text(x, 1 - 0.2 / height, text, color=colour, fontsize=8.0, va="center")
        _stamp(figure, stamp)
        return to_svg(figure, narrowest=560)


def _stamp(figure: object, text: str) -> None:
    """A word in the corner that stays when a drawing is cut out of its page."""
    if text:
        height = figure.get_figheight()  # type: ignore[attr-defined]
        figure.text(0.992, 0.09 / height, text, ha="right", va="bottom", fontsize=6.8, color=FAINT)  # type: ignore[attr-defined]
