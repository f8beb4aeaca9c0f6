"""Exponential smoothing (EMA, Wilder), one fresh trajectory a segment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def smooth_step(x: F8, row: int, alpha: float, seed: int, count: F8, mean: F8) -> None:
    """Take one row in: the mean of the first `seed` valid values, then mean += alpha (x - mean). NaN lanes hold."""
    for j in range(len(mean)):
        v = x[row, j]
        valid = v == v
        taken = count[j] + (1.0 if valid else 0.0)
        weight = 1.0 / taken if taken <= seed else alpha
        mean[j] += weight * (v - mean[j]) if valid else 0.0
        count[j] = taken


@kernel
def rebase_step(ends: F8, before: int, mean: F8) -> None:
    """Entering a segment: count the state from the new segment's zero, so that the closure gap does not enter.

    ends : last level of each segment (segments, pairs); `before` the segment that ended.
    """
    for j in range(len(mean)):
        gap = ends[before, j]
        mean[j] -= gap if gap == gap else 0.0


@batch
def smooth(out: F8, x: F8, seg_age: I4, segment: I4, ends: F8, alpha: float, seed: int, need: int, burn: int) -> None:
    """Smoothed x(t), NaN where x is or before `need` values were taken in. Shape (n, pairs).

    EMA_n: alpha = 2 / (n + 1), seed n. Wilder: alpha = 1 / n, seed n. The trajectory of a segment starts from nothing
    `burn` open minutes before it. For levels `ends` holds each segment's last level; a stream without closure gaps
    passes an array of no rows.
    """
    n, p = x.shape
    count, mean = np.zeros(p), np.zeros(p)
    levels = len(ends) > 0
    for r in range(n):
        if seg_age[r] == 0:
            for j in range(p):
                count[j], mean[j] = 0.0, 0.0
            for k in range(max(0, r - burn), r):
                if levels and seg_age[k] == 0 and k > max(0, r - burn):
                    rebase_step(ends, segment[k] - 1, mean)
                smooth_step(x, k, alpha, seed, count, mean)
            if levels and r > 0 and burn > 0:
                rebase_step(ends, segment[r] - 1, mean)
        smooth_step(x, r, alpha, seed, count, mean)
        for j in range(p):
            v = x[r, j]
            out[r, j] = mean[j] if v == v and count[j] >= need else np.nan
