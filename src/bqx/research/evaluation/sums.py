"""Losses added up over pairs, horizons and a few bars: the one table that every skill is measured from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bqx.research.evaluation.rows import Rows

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B1 = NDArray[np.bool_]
WIDTH = 15
"""Bars of a time: all horizons are multiples of it, and rows are seldom nearer."""
ROWS, HITS, SIGNS, WALK, SQUARE, MODEL = range(6)
FIXED = ("rows", "hits", "signs", "random walk", "square", "model")
"""Columns: counts of rows, of right signs, of rows with signs; squared errors of the forecast 0, square of the
model's forecast, squared errors of the model; then squared errors of each benchmark."""


def times(every: Iterable[I8]) -> I8:
    """Sorted numbers of the times (position // WIDTH) that any of the positions fall in."""
    return np.unique(np.concatenate([np.unique(p // WIDTH) for p in every]))


def added(values: F8, at: I8, n: int) -> F8:
    """Rows (m, k) added up by their time `at` (m,). Shape (n, k)."""
    return np.column_stack([np.bincount(at, weights=values[:, k], minlength=n) for k in range(values.shape[1])])


def losses(rows: Rows, target: str, benchmarks: Sequence[str]) -> F8:
    """Columns of FIXED, then `benchmarks`. Shape (rows, 6 + benchmarks)."""
    y, forecasts = rows.truth[target], rows.forecasts[target]
    f = forecasts["model"]
    signed = (y != 0.0) & (f != 0.0)
    right = signed & ((y > 0.0) == (f > 0.0))
    parts = [np.ones(len(y)), right, signed, y**2, f**2, (y - f) ** 2]
    parts += [(y - forecasts[name]) ** 2 for name in benchmarks]
    return np.column_stack(parts).astype(np.float64)


@dataclass
class Sums:
    """Tables (times, columns) by part, such as ("horizon", "60"); squared errors are in units of each cell's mean
    squared error of the random walk, so that a lively pair does not outvote the others."""

    numbers: I8
    benchmarks: tuple[str, ...]
    tables: dict[tuple[str, str], F8] = field(default_factory=dict)
    cells: dict[tuple[str, str], set[tuple[str, int]]] = field(default_factory=dict)

    def when(self, rows: Rows) -> I8:
        """Number of the time of each row, 0 up."""
        return np.searchsorted(self.numbers, rows.position // WIDTH)

    def add(self, rows: Rows, target: str, parts: Iterable[tuple[tuple[str, str], B1 | None]]) -> F8:
        """Add a cell to some parts, of each the rows of its mask or all. Gives the cell's table (times, columns)."""
        values = losses(rows, target, self.benchmarks)
        values[:, WALK:] /= values[:, WALK].mean()
        at, n = self.when(rows), len(self.numbers)
        whole = added(values, at, n)
        for key, mask in parts:
            part = whole if mask is None else added(values[mask], at[mask], n)
            self.tables[key] = self.tables[key] + part if key in self.tables else part.copy()
            self.cells.setdefault(key, set()).add((rows.pair, rows.horizon))
        return whole
