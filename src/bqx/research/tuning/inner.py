"""Inner folds of a training window: walk-forward, purged, the last one kept for confirmation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import TuningError
from bqx.research.artefact import TrainingRows
from bqx.research.estimators import forecaster
from bqx.research.loss_bins import binned
from bqx.research.split_plan import FoldSpan
from bqx.research.training.phases import rotated

if TYPE_CHECKING:
    from bqx.research.training.order import Order

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
FIRST_SHARE = 0.4
"""Of the window, before the first inner test block."""
LEAST_BINS = 55
"""Of the longest label, in an inner test block: Diebold and Mariano need 50, and closures take some."""


@dataclass(frozen=True, slots=True)
class Inner:
    """Rows before `learn_end` are learnt from, rows in [start, end) are forecast; positions in bars."""

    learn_end: int
    start: int
    end: int


def inner_folds(start: int, end: int, count: int, horizon: int, embargo: int) -> list[Inner]:
    """`count` equal test blocks in the last 60 % of [start, end); training ends horizon + embargo bars before each.

    TuningError when a block is shorter than 55 of the longest labels, or training before the first is.

    >>> inner_folds(0, 20_000, 2, 75, 240)
    [Inner(learn_end=7685, start=8000, end=14000), Inner(learn_end=13685, start=14000, end=20000)]
    """
    if count < 2:
        raise TuningError("two inner folds are the least: one to choose on, one to confirm on")
    first = start + int(FIRST_SHARE * (end - start))
    edges = [first + k * (end - first) // count for k in range(count + 1)]
    if min(np.diff(edges).min(), first - horizon - embargo - start) < LEAST_BINS * horizon:
        raise TuningError(
            f"a training window of {end - start:,} bars is too short for {count} inner folds of {horizon}-bar labels",
            fix="fewer inner folds, shorter horizons, or tune on a later fold",
        )
    return [Inner(a - horizon - embargo, a, b) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class Problem:
    """What a set of parameters is judged on: training rows of one fold by (pair, horizon), inner folds, seed."""

    estimator: str
    seed: int
    rows: Mapping[tuple[str, int], TrainingRows]
    folds: Sequence[Inner]
    embargo: int

    @property
    def width(self) -> int:
        """Bars of a bin that losses are added up in: the longest label."""
        return max(h for _, h in self.rows)

    def losses(self, key: tuple[str, int], fold: Inner, params: Mapping[str, Any]) -> tuple[I8, F8]:
        """Position and loss of each test row (n,): squared errors of y3 and y4 over the random walk's, mean of both."""
        mine, h = self.rows[key], key[1]
        Y = np.column_stack([mine.y3[h], mine.y4[h]])
        learn = mine.position < fold.learn_end
        test = (mine.position >= fold.start) & (mine.position < fold.end)
        if not test.any():
            raise TuningError(f"{key[0]} has no rows of horizon {h} in an inner fold", fix="leave the pair out")
        model = forecaster(self.estimator, **{**params, "seed": self.seed})
        model.fit(mine.X[learn], Y[learn], mine.position[learn], h, self.embargo)
        away = (Y[test] - model.predict(mine.X[test])) ** 2 / (Y[test] ** 2).mean(axis=0)
        return mine.position[test], away.mean(axis=1)

    def score(self, fold: Inner, params: Mapping[str, Any], pool: Any) -> tuple[float, F8]:
        """Mean loss over pairs and horizons (1 is the random walk), and the loss of each bin of the fold (bins,)."""
        parts = list(pool.map(lambda key: self.losses(key, fold, params), self.rows))
        series = binned(parts, fold.start, fold.end, self.width)
        return float(np.mean([loss.mean() for _, loss in parts])), series


def read_problem(order: Order, fold: FoldSpan, count: int) -> Problem:
    """Rows of the fold's training window and of nothing else: neither its test block nor the sealed test is read."""
    dataset, span = order.dataset, (fold.train_start, fold.train_end)
    rows = {}
    for pair in order.pairs:

        def wanted(at: I8) -> NDArray[np.bool_]:
            return np.asarray(np.any([rotated(at, k) for k in set(order.spacing.values())], axis=0))

        chosen = order.masks.columns((pair,), fold.number)
        sample = dataset.sample(pair, chosen=chosen, span=span, where=wanted)
        for h in order.horizons:
            mine = TrainingRows.of_sample(sample.take(rotated(sample.position, order.spacing[h])), (h,))
            rows[pair, h] = mine.take(np.isfinite(mine.y3[h]) & np.isfinite(mine.y4[h]))
    longest = max(order.horizons)
    embargo = min(order.recipe.embargo, (span[1] - span[0]) // (10 * count))
    folds = inner_folds(*span, count, longest, embargo)
    return Problem(order.recipe.estimator, order.recipe.seed, rows, folds, embargo)
