"""Runs whose skill is known, on simulated bars: forecasts made of the truth and noise, in the format of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.build.project import Project
from bqx.market.calendar import Calendar, Grid
from bqx.market.simulated import simulate, simulated_source
from bqx.research.labels import bars_left
from bqx.research.training.folder import FORMAT, Run, head_hash, write_head
from bqx.research.training.forecasts import FORECASTS, SCHEMA, write_forecasts

F8 = NDArray[np.float64]


def traded_project(
    root: Path, pairs: Sequence[str], start: int, end: int, *, seed: int, quotes: bool = True
) -> tuple[Project, dict[str, pl.DataFrame]]:
    """A project with the bars of a random-walk market, and those bars. quotes : False leaves bid and ask out."""
    project = Project.create(root, pairs=pairs)
    frames = simulate(project.calendar, start, end, seed=seed, pairs=pairs, origin_minute=start)
    for pair, frame in frames.items():
        if not quotes:
            sides = [c for c in frame.columns if c.startswith(("bid", "ask"))]
            frame = frame.with_columns(pl.lit(None, pl.Float64).alias(c) for c in sides)
            frames[pair] = frame
        project.bars.ingest(pair, frame, simulated_source(seed, origin_minute=start))
    return project, frames


def planted_table(
    frame: pl.DataFrame, calendar: Calendar, grid: Grid, horizon: int, *, r2: float, every: int, folds: int, seed: int
) -> pl.DataFrame:
    """Forecasts `every` bars apart of which f4 explains r2 of y4 and is calibrated: r2 y4 + noise. r2 = 0: noise as
    large as forecasts of R2 0.02, which knows nothing."""
    close = on_grid(frame, grid)
    level = 1e4 * np.log(close)
    left = bars_left(calendar, grid.minute)
    sigma = _deviation(level)
    rows = np.arange(240, len(grid) - horizon - 1)
    rows = rows[rows % every == 0]
    rows = rows[np.isfinite(sigma[rows])]
    r = level[rows + horizon] - level[rows]
    there = (left[rows] >= horizon) & np.isfinite(r)
    scale = sigma[rows] * np.sqrt(horizon)
    y4 = np.where(there, r / scale, np.nan)
    rng = np.random.default_rng([seed, horizon])
    noise = rng.normal(size=len(rows)) * float(np.nanstd(y4))
    f4 = np.sqrt(0.02) * noise if r2 == 0.0 else np.where(there, r2 * y4 + np.sqrt(r2 * (1.0 - r2)) * noise, 0.0)
    stamps = pl.Series((grid.minute[rows] * 60_000_000).astype("datetime64[us]")).dt.replace_time_zone("UTC")
    data = {k: [None] * len(rows) for k in FORECASTS} | {
        "ts_utc": stamps,
        "position": calendar.ordinal(int(grid.minute[0])) + rows,
        "fold": np.arange(len(rows)) * folds // max(len(rows), 1),
        "sigma": sigma[rows],
        "cost": np.ones(len(rows)),
        "left": left[rows],
        "y3": _null(y4),
        "y4": _null(y4),
        "r": _null(np.where(there, r, np.nan)),
        "f4": f4,
        "persist3": rng.normal(size=len(rows)),
    }
    return pl.DataFrame(data).select(pl.col(k).cast(kind) for k, kind in SCHEMA.items())


def planted_run(
    project: Project, frames: Mapping[str, pl.DataFrame], name: str, horizons: Sequence[int], start: int, end: int, *,
    r2: float, every: int = 15, folds: int = 4, seed: int = 0, state: str = "done", sign: float = 1.0,
) -> Run:  # fmt: skip
    """A finished run of those forecasts, times `sign`, under the project."""
    folder = project.root / "models" / name
    head = {
        "format": FORMAT, "name": name, "dataset": "made", "dataset_hash": "0" * 32, "lag_profile": "seed",
        "catalogue_version": "0" * 32, "estimator": "planted", "params": {"r2": r2}, "heads": ["point"],
        "pairs": list(frames), "horizons": list(horizons), "folds": list(range(folds)), "every": every,
        "scope": "pair", "mask": {"source": "none", "digest": "0" * 32}, "seed": seed, "code_version": "test",
        "simulated": True, "versions": {}, "state": state, "result": {},
    }  # fmt: skip
    head["hash"] = head_hash(head)
    write_head(folder, head)
    run = Run.read(folder)
    grid = project.calendar.grid(start, end)
    for k, (pair, frame) in enumerate(frames.items()):
        for h in horizons:
            made = planted_table(
                frame, project.calendar, grid, h, r2=r2, every=every, folds=folds, seed=seed * 1000 + k
            )
            write_forecasts(run.forecast_path(pair, h), made.with_columns(pl.col("f4") * sign), horizon=h)
    return run


def on_grid(frame: pl.DataFrame, grid: Grid) -> F8:
    """Closes of the grid's minutes, NaN where the pair was not quoted."""
    minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    out = np.full(len(grid), np.nan)
    at = np.searchsorted(grid.minute, minute)
    ok = grid.minute[np.minimum(at, len(grid) - 1)] == minute
    out[at[ok]] = frame["close"].to_numpy()[ok]
    return out


def _deviation(level: F8, window: int = 120) -> F8:
    """Root mean square of the known 1-minute changes of the window before each row, NaN below 60 of them."""
    square = np.diff(level, prepend=np.nan) ** 2
    known = np.isfinite(square)
    sums, counts = np.cumsum(np.where(known, square, 0.0)), np.cumsum(known)
    sums[window:], counts[window:] = sums[window:] - sums[:-window], counts[window:] - counts[:-window]
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.sqrt(sums / counts)
    return np.where((counts >= 60) & (out > 0), out, np.nan)


def _null(values: F8) -> pl.Series:
    return pl.Series(values, nan_to_null=True)
