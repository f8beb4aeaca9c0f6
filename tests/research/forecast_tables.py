"""A run folder without training: forecast tables of invented returns, of noise or with a planted skill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.market.calendar import Calendar, month_span
from bqx.market.sim_math import inverse_normal
from bqx.research.labels import bars_left
from bqx.research.training.folder import FORMAT, Run, head_hash, write_head
from bqx.research.training.forecasts import SCHEMA, write_forecasts

F8 = NDArray[np.float64]
START = "2024_02"


def forecast_table(
    horizon: int, *, seed: int = 0, weeks: int = 8, folds: int = 4, every: int = 15, r2: float = 0.0,
    quality: float = 1.0, cost: float = 1.0, sigma: float = 1.0,
) -> pl.DataFrame:  # fmt: skip
    """Test rows `every` bars apart over `weeks` trading weeks of the real calendar.

    Returns are sums of h normal minutes of deviation `sigma` (1 to 3 times that by the hour of the day), so labels
    overlap as real ones do. A share `r2` of y4 is known; the point forecasts are `quality` times that part (1: the
    oracle), of y3 in the same proportion. Quantiles, intervals and p_up are those of a normal around f4. With r2 = 0
    the forecasts are noise of R2 0.001 that has nothing to do with the truth.
    """
    rng = np.random.default_rng([seed, horizon])
    calendar = Calendar.load()
    start = calendar.week_start(month_span(START)[0])
    grid = calendar.grid(start, calendar.at_ordinal(calendar.ordinal(start) + weeks * 7200 - 1) + 1)
    n = len(grid)
    at = calendar.ordinal(start) + np.arange(n, dtype=np.int64)
    left = bars_left(calendar, grid.minute)
    level = sigma * (1.0 + 2.0 * (grid.minute % 1440 // 60 == 14))
    z = rng.normal(size=n + horizon)
    known = r2 > 0.0
    share = math.sqrt(r2) if known else math.sqrt(0.001)
    signal = _smooth(rng, n)
    moves = np.convolve(z, np.ones(horizon), "full")[horizon : horizon + n] / math.sqrt(horizon)
    y4 = share * signal + math.sqrt(1.0 - r2) * moves if known else moves
    weight = np.arange(horizon, 0, -1.0)
    bent = np.convolve(z, (weight / np.sqrt((weight**2).sum()))[::-1], "full")[horizon : horizon + n]
    y3 = share * signal + math.sqrt(1.0 - r2) * bent if known else bent
    guess = share * signal * quality
    rows = np.flatnonzero(at % every == 0)
    y3, y4, guess = y3[rows], y4[rows], guess[rows]
    there = left[rows] >= horizon
    data: dict[str, object] = {
        "ts_utc": pl.Series((grid.minute[rows] * 60_000_000).astype("datetime64[us]")).dt.replace_time_zone("UTC"),
        "position": at[rows],
        "fold": (np.arange(len(rows)) * folds // len(rows)).astype(np.int16),
        "sigma": level[rows].astype(np.float32),
        "cost": np.full(len(rows), cost, np.float32),
        "left": left[rows].astype(np.int32),
        "y3": _null(y3, there),
        "y4": _null(y4, there),
        "r": _null(y4 * level[rows].astype(np.float32) * math.sqrt(horizon), there),
        "f3": guess,
        "f4": guess,
        **{k: 0.02 * rng.normal(size=len(rows)) for k in ("persist3", "clim3", "persist4", "clim4")},
    }
    spread = math.sqrt(1.0 - r2)
    ends = {"q05": 0.05, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q95": 0.95, "lo80": 0.1, "hi80": 0.9, "lo90": 0.05,
            "hi90": 0.95}  # fmt: skip
    data |= {k: guess + spread * float(inverse_normal(p)) for k, p in ends.items()}
    data["p_up"] = np.array([0.5 * math.erfc(-g / (spread * math.sqrt(2.0))) for g in guess])
    return pl.DataFrame(data).select(pl.col(k).cast(kind) for k, kind in SCHEMA.items())


def forecast_run(
    root: Path, name: str = "made", *, pairs: Sequence[str] = ("eurusd", "usdjpy"), horizons: Sequence[int] = (15, 60),
    seed: int = 0, weeks: int = 8, folds: int = 4, every: int = 15, r2: float = 0.0, quality: float = 1.0,
    cost: float = 1.0, state: str = "done",
) -> Run:  # fmt: skip
    """A run under `root/models/NAME` with a table a pair and horizon; pairs share nothing."""
    folder = Path(root) / "models" / name
    head = {
        "format": FORMAT, "name": name, "dataset": "made", "dataset_hash": "0" * 32, "lag_profile": "seed",
        "catalogue_version": "0" * 32, "estimator": "oracle", "params": {"r2": r2, "quality": quality},
        "heads": ["point", "quantile", "direction"], "pairs": list(pairs), "horizons": list(horizons),
        "folds": list(range(folds)), "every": every, "scope": "pair", "mask": {"source": "none", "digest": "0" * 32},
        "seed": seed, "code_version": "test", "simulated": True, "versions": {}, "state": state, "result": {},
    }  # fmt: skip
    head["hash"] = head_hash(head)
    write_head(folder, head)
    run = Run.read(folder)
    for k, pair in enumerate(pairs):
        for h in horizons:
            made = forecast_table(
                h, seed=seed * 1000 + k, weeks=weeks, folds=folds, every=every, r2=r2, quality=quality, cost=cost
            )
            write_forecasts(run.forecast_path(pair, h), made, horizon=h)
    return run


def _smooth(rng: np.random.Generator, n: int, decay: float = 0.98) -> F8:
    from scipy.signal import lfilter

    shock = rng.normal(size=n + 200) * math.sqrt(1 - decay**2)
    return np.asarray(lfilter([1.0], [1.0, -decay], shock)[200:])


def _null(values: F8, there: NDArray[np.bool_]) -> pl.Series:
    return pl.Series(np.where(there, values, np.nan), nan_to_null=True)
