"""Bars of all 28 pairs, simulated and free of arbitrage, with the difficulties that panels have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from bqx.market.calendar import DAY, Calendar, datetime_of, minute_of
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate

LATE = "nzdchf"
"""Begins two days after the others."""

HOLES = (
    ("eurusd", "2024-03-05T10:01", 2),
    ("gbpusd", "2024-03-05T11:00", 4),
    ("usdjpy", "2024-03-07T12:00", 6),
    ("audnzd", "2024-03-08T03:00", 90),
    ("eurgbp", "2024-03-10T21:00", 40),  # the week opens without a quote
    ("cadjpy", "2024-03-11T06:00", 600),
    *((pair, "2024-03-13T08:00", 45) for pair in ("audcad", "audchf", "eurcad", "eurchf", "gbpcad", "gbpchf")),
    *((pair, "2024-03-13T08:20", 45) for pair in ("nzdcad", "usdcad", "cadchf", "usdchf")),  # 18 pairs are left
)
"""Pair, begin (UTC) and minutes without a quote."""


def panel_frames(calendar: Calendar, start: int, end: int, pairs: Sequence[str] = PAIRS) -> dict[str, pl.DataFrame]:
    """Frames by pair over [start, end), which should hold the first half of March 2024; 90 minutes of it have no quote
    of any pair."""
    frames = simulate(calendar, start, end, seed=1, pairs=pairs, origin_minute=start)
    holes = [(pair, minute_of(datetime.fromisoformat(f"{begin}:00+00:00")), n) for pair, begin, n in HOLES]
    everyone = minute_of(datetime.fromisoformat("2024-03-12T09:00:00+00:00"))
    holes += [(LATE, start, 2 * DAY), *((pair, everyone, 90) for pair in frames)]
    for pair, begin, minutes in (hole for hole in holes if hole[0] in frames):
        low, high = datetime_of(begin), datetime_of(begin) + timedelta(minutes=minutes)
        frames[pair] = frames[pair].filter((pl.col("ts_utc") < low) | (pl.col("ts_utc") >= high))
    return frames
