"""Forecasts whose skill is known, on bars: f4 = r2 y4 + sqrt(r2 (1 - r2)) noise explains r2 of y4 and is calibrated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from bqx.market.calendar import Calendar
from bqx.research.backtest.forecasts import Forecasts
from bqx.research.backtest.market import Feed
from bqx.research.labels import bars_left


def reader(frames: Mapping[str, pl.DataFrame]):
    """A `market.Reader` over frames in memory."""

    def read(pairs, start, end):
        at = pl.col("ts_utc").dt.epoch("s") // 60
        return {p: frames[p].filter((at >= start) & (at < end)) for p in pairs}

    return read


def feed(frames, calendar: Calendar, start: int, end: int, **options) -> Feed:
    return Feed(reader(frames), calendar, tuple(frames), start, end, **options)


def forecasts(
    frames, calendar: Calendar, start: int, end: int, pair: str, horizon: int, *, every: int = 15, r2: float = 0.05,
    seed: int = 0, folds: int = 4,
) -> Forecasts:  # fmt: skip
    """Rows `every` bars apart that have a truth; sigma is the deviation of the 60 minutes before."""
    grid = calendar.grid(start, end)
    close = np.full(len(grid), np.nan)
    minute = frames[pair]["ts_utc"].to_physical().to_numpy() // 60_000_000
    at = np.searchsorted(grid.minute, minute)
    ok = (at < len(grid)) & (grid.minute[np.minimum(at, len(grid) - 1)] == minute)
    close[at[ok]] = frames[pair]["close"].to_numpy()[ok]
    level = 1e4 * np.log(close)
    left = bars_left(calendar, grid.minute)
    rows = np.arange(60, len(grid) - horizon - 1)
    rows = rows[(rows % every == 0) & (left[rows] >= horizon)]
    r = level[rows + horizon] - level[rows]
    sigma = np.array([np.nanstd(np.diff(level[i - 60 : i + 1])) for i in rows])
    ok = np.isfinite(r) & (sigma > 0)
    rows, r, sigma = rows[ok], r[ok], sigma[ok]
    y4 = r / (sigma * np.sqrt(horizon))
    rng = np.random.default_rng([seed, horizon, sum(map(ord, pair))])
    f4 = r2 * y4 + np.sqrt(r2 * (1 - r2)) * rng.normal(size=len(rows)) * y4.std()
    fold = np.arange(len(rows)) * folds // max(len(rows), 1)
    return Forecasts(pair, horizon, grid.minute[rows], fold, sigma, left[rows], f4, -rng.normal(size=len(rows)))
