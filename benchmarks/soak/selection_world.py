"""Invented worlds for selection: a store whose features are noise with a few planted columns, and bare samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.features.catalogue import own_datasets
from bqx.features.declare import Column, Dataset
from bqx.market.calendar import month_span, months_between
from bqx.market.simulated import Flavour, simulate, simulated_source
from bqx.research.segment_nulls import segment_nulls
from bqx.store.partition import PartitionKey

F4 = NDArray[np.float32]
DECAY = 0.97
"""Correlation of a column with itself a minute before; columns of a dataset share a factor of weight SHARED."""
SHARED = 0.5


def noise_project(
    root: Path, pairs: Sequence[str], start: int, end: int, *, seed: int = 0, real: Sequence[str] = (),
    flavour: Flavour = "random-walk",
) -> Project:  # fmt: skip
    """Simulated bars of [start, end) minutes and partitions of all counted datasets, filled with smooth noise but for
    those named in `real`, which are built.

    Columns have the NULLs of their declared warm-up and segment starts, integers are rounded; names, types and
    partitions are as a build would make them, the values mean nothing.
    """
    project = Project.create(root, pairs=pairs)
    frames = simulate(project.calendar, start, end, seed=seed, flavour=flavour, pairs=pairs, origin_minute=start)
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame, simulated_source(seed, flavour, origin_minute=start))
    span = project.bars.spans()
    if real:
        build(project, Choice(datasets=tuple(real)))
    receipts = []
    for pair in pairs:
        first, last = span[pair]
        for number, home in enumerate(own_datasets().values()):
            if home.counted and home.name not in real:
                receipts += _partitions(project, home, pair, first, last, seed * 1000 + number)
    project.store.commit(receipts)
    return project


def _partitions(project: Project, home: Dataset, pair: str, first: int, last: int, seed: int) -> list:  # type: ignore[type-arg]
    rng = np.random.default_rng([seed, sum(pair.encode())])
    state = rng.normal(size=len(home.columns) + 1)
    out = []
    begin = project.calendar.ordinal(first)
    for ym in months_between(first, last + 1):
        low, high = month_span(ym)
        grid = project.calendar.grid(max(low, first), min(high, last + 1))
        walk = smooth(rng, len(grid), state)
        in_stream = project.calendar.ordinal(int(grid.minute[0])) - begin + 1 + np.arange(len(grid))
        table = {c.name: _column(c, walk[:, 0], walk[:, 1 + k], in_stream, grid.seg_age)
                 for k, c in enumerate(home.columns)}  # fmt: skip
        stamps = pl.Series("ts_utc", (grid.minute * 60_000_000).astype("datetime64[us]")).dt.replace_time_zone("UTC")
        frame = pl.DataFrame([stamps, *table.values()])
        out.append(
            project.store.stage(
                PartitionKey(home.name, pair, ym), frame, input_hash=f"{seed}{ym}", code_version="invented",
                complete_through=int(grid.minute[-1]), simulated=True,
            )
        )  # fmt: skip
    return out


def smooth(rng: np.random.Generator, n: int, state: NDArray[np.float64]) -> F4:
    """Columns of AR(1) noise that go on from `state`, which is moved; unit variance. Shape (n, columns)."""
    from scipy.signal import lfilter

    shock = rng.standard_normal((n, len(state)), dtype=np.float32) * np.float32(np.sqrt(1 - DECAY**2))
    out, _ = lfilter([1.0], [1.0, -DECAY], shock, axis=0, zi=(DECAY * state)[None, :])
    state[:] = out[-1]
    return out.astype(np.float32)


def _column(item: Column, factor: F4, own: F4, in_stream: NDArray[np.int64], seg_age: NDArray[np.int32]) -> pl.Series:
    value = np.sqrt(SHARED) * factor + np.sqrt(1 - SHARED) * own
    value = np.where((in_stream < item.warmup) | segment_nulls(item.support)[seg_age], np.nan, value).astype(np.float32)
    if item.dtype in ("i2", "i4"):
        return pl.Series(item.name, np.rint(value), nan_to_null=True).cast(pl.Int16 if item.dtype == "i2" else pl.Int32)
    return pl.Series(item.name, value, nan_to_null=True).cast(pl.Float64 if item.dtype == "f8" else pl.Float32)


@dataclass(frozen=True)
class Planted:
    """A bare sample: X (n, 2640), Y (n, targets), and which columns hold the planted effects and their decoys."""

    X: F4
    Y: NDArray[np.float64]
    position: NDArray[np.int64]
    planted: tuple[int, ...]
    decoys: tuple[int, ...]


def planted_sample(
    rows: int, *, seed: int, columns: int = 2640, targets: int = 10, effects: int = 5, decoys: int = 5,
    r2: float = 0.005, correlation: float = 0.9, every: int = 15, horizons: Sequence[int] = (15, 30, 45, 60, 75),
) -> Planted:  # fmt: skip
    """Smooth columns in families of 8 that share half their variance; `effects` columns, each of `r2` in every target
    beside `decoys` columns of that correlation with it and no effect of their own. Noise of a target of h bars is a
    moving sum over h / every rows, as overlapping labels are.
    """
    rng = np.random.default_rng([seed, 5])
    decay = 0.6  # from row to row
    walk = _ar(rng, rows, columns, decay)
    factor = _ar(rng, rows, columns // 8 + 1, decay)
    X = (np.sqrt(SHARED) * factor[:, np.arange(columns) // 8] + np.sqrt(1 - SHARED) * walk).astype(np.float32)
    places = rng.permutation(columns)[: effects * (1 + decoys)].reshape(effects, 1 + decoys)
    for first, *rest in places:
        X[:, first] = walk[:, first]
        for k in rest:
            X[:, k] = correlation * walk[:, first] + np.sqrt(1 - correlation**2) * walk[:, k]
    signal = X[:, places[:, 0]].astype(np.float64).sum(axis=1)
    Y = np.empty((rows, targets))
    for t in range(targets):
        width = max(horizons[t % len(horizons)] // every, 1)
        noise = rng.normal(size=rows + width - 1)
        noise = np.convolve(noise, np.ones(width) / np.sqrt(width), mode="valid")
        Y[:, t] = np.sqrt(r2) * signal + np.sqrt(1 - effects * r2) * noise
    position = 28_000_005 + every * np.arange(rows, dtype=np.int64)
    return Planted(X, Y, position, tuple(int(k) for k in places[:, 0]), tuple(int(k) for k in places[:, 1:].ravel()))


def _ar(rng: np.random.Generator, n: int, columns: int, decay: float) -> F4:
    from scipy.signal import lfilter

    shock = rng.standard_normal((n + 20, columns), dtype=np.float32) * np.float32(np.sqrt(1 - decay**2))
    return lfilter([1.0], [1.0, -decay], shock, axis=0)[20:].astype(np.float32)
