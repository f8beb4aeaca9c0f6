"""Combinatorial purged cross-validation (Lopez de Prado 2018, ch. 12), with the manners of scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bqx.base.errors import UsageError
from bqx.research.splits import DAY, purged

I8 = NDArray[np.int64]
MOST = 100_000


@dataclass(frozen=True)
class CombinatorialPurged:
    """Every choice of `k` of `groups` spans of time is a test once; the rest, purged around each of them, trains.

    horizon, embargo : bars, as in WalkForward; `back` more bars before t belong to a sample when its window is longer
    than its horizon. Ten groups by two are 45 splits that make 9 whole paths.

    >>> cv = CombinatorialPurged(horizon=1, groups=4, k=2, embargo=0)
    >>> for train, test in cv.split(np.arange(12)):
    ...     print(train, test)
    [ 7  8  9 10 11] [0 1 2 3 4 5]
    [ 4 10 11] [0 1 2 6 7 8]
    [4 5 6 7] [ 0  1  2  9 10 11]
    [ 0  1 10 11] [3 4 5 6 7 8]
    [0 1 7] [ 3  4  5  9 10 11]
    [0 1 2 3 4] [ 6  7  8  9 10 11]
    >>> cv.paths
    3
    """

    horizon: int
    groups: int = 10
    k: int = 2
    embargo: int = DAY
    back: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.k < self.groups or self.horizon < 1 or min(self.embargo, self.back) < 0:
            raise UsageError(f"splits need 1 <= k < groups, a horizon and no negative lengths, got {self}")
        if self.count > MOST:
            raise UsageError(
                f"{self.k} of {self.groups} groups are {self.count:,} splits, {MOST:,} are the most",
                fix="take fewer groups or a smaller k; 10 and 2 are usual",
            )

    @property
    def count(self) -> int:
        return math.comb(self.groups, self.k)

    @property
    def paths(self) -> int:
        """Whole histories of test forecasts that the splits make."""
        return math.comb(self.groups - 1, self.k - 1)

    def edges(self, at: I8) -> I8:
        """Bounds of the groups in bars, equal in time. Shape (groups + 1,)."""
        return np.linspace(int(at.min()), int(at.max()) + 1, self.groups + 1).astype(np.int64)

    def split(self, X: ArrayLike, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[I8, I8]]:
        """Yield indices of training and test rows. `groups` are the rows' positions in bars; without it X is."""
        at = np.asarray(X if groups is None else groups, dtype=np.int64)
        if at.ndim != 1:
            raise UsageError(f"positions have shape {at.shape}, not (n,)", fix="give groups=position of each row")
        edges = self.edges(at)
        home = np.searchsorted(edges, at, side="right") - 1
        inside = [np.flatnonzero(home == g) for g in range(self.groups)]
        keep = [purged(at, at[rows], self.horizon + self.back, self.embargo) for rows in inside if len(rows)]
        if len(keep) < self.groups:
            raise UsageError(f"{self.groups - len(keep)} of {self.groups} groups have no row", fix="take fewer groups")
        for chosen in combinations(range(self.groups), self.k):
            test = np.concatenate([inside[g] for g in chosen])
            train = np.flatnonzero(np.logical_and.reduce([keep[g] for g in chosen]))
            yield train, np.sort(test)

    def get_n_splits(self, X: ArrayLike | None = None, y: Any = None, groups: ArrayLike | None = None) -> int:
        return self.count

    def path_of(self) -> list[list[tuple[int, int]]]:
        """For each path, the (split, group) that forecasts each of its groups in order of time."""
        splits = list(combinations(range(self.groups), self.k))
        where = {g: [s for s, chosen in enumerate(splits) if g in chosen] for g in range(self.groups)}
        return [[(where[g][p], g) for g in range(self.groups)] for p in range(self.paths)]


def spans(edges: I8) -> list[tuple[int, int]]:
    """[start, end) of consecutive edges."""
    return [(int(a), int(b)) for a, b in pairwise(edges)]
