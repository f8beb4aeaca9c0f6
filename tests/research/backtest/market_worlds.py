"""Feeds and forecasts on frames in memory, for tests without a project."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[3]))

from benchmarks.soak.backtest_world import planted_run, planted_table, traded_project

from bqx.market.calendar import Calendar
from bqx.research.backtest.forecasts import Forecasts
from bqx.research.backtest.market import Feed

SMALL_START, SMALL_END = 28_471_560, 28_509_120
"""The span of the fixture `small_frames`: 2024-02-18 22:00 to 2024-03-16 00:00 UTC."""
__all__ = ["SMALL_END", "SMALL_START", "feed", "forecasts", "planted_run", "planted_table", "traded_project"]


def feed(frames: Mapping[str, pl.DataFrame], calendar: Calendar, start: int, end: int, **options) -> Feed:
    """A feed of frames."""

    def read(pairs, first, last):
        at = pl.col("ts_utc").dt.epoch("s") // 60
        return {p: frames[p].filter((at >= first) & (at < last)) for p in pairs}

    return Feed(read, calendar, tuple(frames), start, end, **options)


def forecasts(
    frames: Mapping[str, pl.DataFrame], calendar: Calendar, start: int, end: int, *, horizons=(15, 60), r2=0.05,
    every=15, seed=0,
) -> list[Forecasts]:  # fmt: skip
    """Planted forecasts of every pair and horizon."""
    grid = calendar.grid(start, end)
    return [
        Forecasts.of_table(
            p, h, planted_table(frames[p], calendar, grid, h, r2=r2, every=every, folds=4, seed=seed + k)
        )
        for k, p in enumerate(frames)
        for h in horizons
    ]
