"""What is measured on: bars of many pairs for us, the same bars pair by pair for the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.lags import segment_ends
from bqx.market.calendar import Calendar

F8 = NDArray[np.float64]
START = 28_400_000  # a minute at the end of 2023
FIELDS = ("open", "high", "low", "y", "dy")


@dataclass(frozen=True)
class Bars:
    """Additive bars (n, pairs): open, high, low, y (close) and dy; seg_age and the row of the segment. Shape (n,)."""

    open: F8
    high: F8
    low: F8
    y: F8
    dy: F8
    age: NDArray[np.int32]
    segment: NDArray[np.int32]

    @cached_property
    def ends(self) -> F8:
        return segment_ends(self.y, self.segment, int(self.segment[-1]) + 1)

    @cached_property
    def price(self) -> F8:
        """y as a price: exp for random walks in bps, y itself where it is one."""
        return np.exp(self.y * 1e-4) if float(np.nanmin(self.y)) <= 0.0 else self.y

    @cached_property
    def reference(self) -> F8:
        """The first price, in every row."""
        return np.repeat(self.price[:1], len(self.price), axis=0)

    @cached_property
    def none(self) -> F8:
        """Segment ends of a series without closure gaps."""
        return np.empty((0, self.y.shape[1]))

    def lane(self, j: int) -> Bars:
        """One pair as a panel of its own."""
        return Bars(*(np.ascontiguousarray(getattr(self, f)[:, j : j + 1]) for f in FIELDS), self.age, self.segment)


class Lane:
    """One pair for the others, in the form each likes best, made beforehand: arrays, `.pl` and `.pd` series."""

    def __init__(self, bars: Bars, j: int = 0) -> None:
        import pandas as pd
        import polars as pl

        arrays = {f: np.ascontiguousarray(getattr(bars, f)[:, j]) for f in FIELDS}
        arrays["price"] = np.ascontiguousarray(bars.price[:, j])
        self.open, self.high, self.low, self.y, self.dy, self.price = (arrays[f] for f in (*FIELDS, "price"))
        self.first = float(self.price[0])
        self.pl = SimpleNamespace(**{f: pl.Series(f, x).fill_nan(None) for f, x in arrays.items()})
        self.pd = SimpleNamespace(**{f: pd.Series(x) for f, x in arrays.items()})


def walk(rows: int, pairs: int, seed: int = 0, gaps: float = 0.0) -> Bars:
    """Random walks in bps on the market's own segments; `gaps` : share of minutes without a price, in runs of five."""
    rng = np.random.default_rng(seed)
    grid = Calendar.load().grid(START, START + 10_080 + rows * 2)
    first = int(np.flatnonzero(grid.seg_age == 0)[0])
    age = np.ascontiguousarray(grid.seg_age[first : first + rows])
    dy = rng.standard_normal((rows, pairs))
    y = np.cumsum(dy, axis=0)
    if gaps:
        hole = np.repeat(rng.random((rows // 5 + 1, pairs)) < gaps, 5, axis=0)[:rows]
        y[hole], dy[hole] = np.nan, np.nan
    segment = np.cumsum(age == 0).astype(np.int32) - 1
    return _with_range(y, dy, age, segment, rng)


def single(y: F8, seed: int = 1) -> Bars:
    """One series as one long segment, for the digits."""
    rng = np.random.default_rng(seed)
    n = len(y)
    column = np.ascontiguousarray(y[:, None])
    dy = np.diff(column, axis=0, prepend=np.nan)
    return _with_range(column, dy, np.arange(n, dtype=np.int32), np.zeros(n, dtype=np.int32), rng)


def _with_range(y: F8, dy: F8, age: NDArray[np.int32], segment: NDArray[np.int32], rng: np.random.Generator) -> Bars:
    before = y - np.nan_to_num(dy)
    reach = np.abs(rng.standard_normal((2, *y.shape))) * 0.3 * float(np.nanstd(dy))
    high, low = np.maximum(y, before) + reach[0], np.minimum(y, before) - reach[1]
    return Bars(before, high, low, y, dy, age, segment)


def inputs(rows: int, seed: int = 2) -> dict[str, F8]:
    """Easy and hard series: returns; prices of 1.1 and 150 that move by 1e-5 of themselves; one tick of 100 sigma."""
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal(rows) * 1e-4
    spike = returns.copy()
    spike[rows // 2] = 100.0 * 1e-4
    steps = np.cumsum(rng.standard_normal(rows) * 1e-5)
    return {"returns": returns, "level 1.1": 1.1 + 1.1 * steps, "level 150": 150.0 + 150.0 * steps, "spike": spike}
