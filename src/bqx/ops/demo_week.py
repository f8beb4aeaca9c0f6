"""The page's drawing of one week: price, momentum and three features."""

from __future__ import annotations

import numpy as np
import polars as pl

from bqx.base.report import Figure, Heading, Report, Text
from bqx.features.catalogue import column
from bqx.market.calendar import DAY, datetime_of
from bqx.ops.demo_charts import Line, week_chart
from bqx.ops.demo_facts import Facts

SHOWN = (
    "base_bqx.M_15",
    "returns_raw_rate.ret_60",
    "returns_std_rate.retz_240",
    "returns_std_bqx.retz_60",
)
"""Columns drawn below the price, where they are built."""
FAVOURITE = "eurusd"


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
    price = frame.select("ts_utc").join(
        bars.select("ts_utc", "close"), on="ts_utc", how="left", maintain_order="left"
    )
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
        *(Text(f"`{name}`: {column(name)[1].formula}.") for name in wanted),
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


def _floats(values: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(values.cast(pl.Float64).fill_null(np.nan).to_numpy(), dtype=np.float64)
