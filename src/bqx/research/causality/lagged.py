"""Rows with all their lags, and the one Gram matrix from which every regression of a fold is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
CHUNK = 4096


def runs(complete: NDArray[np.bool_], segment: I8, position: I8, every: int) -> I8:
    """How many complete rows, `every` bars apart and in one segment, come directly before each; -1 for an incomplete.

    >>> runs(np.array([1, 1, 0, 1, 1], bool), np.zeros(5, np.int64), np.arange(5), 1).tolist()
    [0, 1, -1, 0, 1]
    """
    n = len(complete)
    joined = np.zeros(n, dtype=bool)
    joined[1:] = (np.diff(position) == every) & (np.diff(segment) == 0) & complete[1:] & complete[:-1]
    at = np.arange(n, dtype=np.int64)
    start = np.maximum.accumulate(np.where(joined, 0, at))
    return np.where(complete, at - start, -1)


@dataclass(frozen=True)
class Lagged:
    """values (n, width), `rows` those that have `depth` lags; column 0 is 1, then width columns a lag, 0 first.

    gram : of all 1 + width (depth + 1) columns over the rows.
    """

    values: F8
    rows: I8
    depth: int
    gram: F8

    @classmethod
    def of(cls, values: F8, age: I8, depth: int) -> Lagged:
        rows = np.flatnonzero(age >= depth)
        size = 1 + values.shape[1] * (depth + 1)
        gram = np.zeros((size, size))
        for k in range(0, len(rows), CHUNK):
            part = _wide(values, rows[k : k + CHUNK], depth)
            gram += part.T @ part
        return cls(values, rows, depth, gram)

    @property
    def width(self) -> int:
        return int(self.values.shape[1])

    def at(self, series: int, lag: int) -> int:
        """Column of a lag of a series in the Gram matrix."""
        return 1 + lag * self.width + series

    def lags(self, series: list[int], first: int, last: int) -> list[int]:
        """Columns of lags first..last, all series of a lag before the next lag."""
        return [self.at(s, lag) for lag in range(first, last + 1) for s in series]

    def block(self, columns: list[int], rows: I8 | None = None) -> F8:
        """Those columns (rows, k), of `self.rows` unless told."""
        rows = self.rows if rows is None else rows
        out = np.empty((len(rows), len(columns)))
        for j, c in enumerate(columns):
            if c == 0:
                out[:, j] = 1.0
            else:
                lag, series = divmod(c - 1, self.width)
                out[:, j] = self.values[rows - lag, series]
        return out

    def cross(self, left: list[int], right: list[int]) -> F8:
        """Part of the Gram matrix."""
        return np.asarray(self.gram[np.ix_(left, right)])


def _wide(values: F8, rows: I8, depth: int) -> F8:
    lags = [values[rows - lag] for lag in range(depth + 1)]
    return np.concatenate([np.ones((len(rows), 1)), *lags], axis=1)
