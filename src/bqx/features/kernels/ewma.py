"""Exponentially weighted variance of changes, one fresh trajectory a segment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def ewma_step(change: F8, row: int, alpha: float, seed: int, count: F8, mean: F8) -> None:
    """Take one row in: the mean of squares of the first `seed` valid changes, then mean += alpha (square - mean)."""
    for j in range(len(mean)):
        v = change[row, j]
        valid = v == v
        taken = count[j] + (1.0 if valid else 0.0)
        weight = 1.0 / taken if taken <= seed else alpha
        mean[j] += weight * (v * v - mean[j]) if valid else 0.0
        count[j] = taken


@batch
def ewma_deviation(out: F8, change: F8, seg_age: I4, alpha: float, seed: int, need: int, burn: int) -> None:
    """Root of the EWMA of squared changes up to t - 1; NaN before `need` of them. Shape (n, pairs).

    The trajectory of a segment starts from nothing `burn` open minutes before it, so that a value never depends on
    where the build began.
    """
    n, p = change.shape
    count, mean = np.zeros(p), np.zeros(p)
    for r in range(n):
        if seg_age[r] == 0:
            for j in range(p):
                count[j], mean[j] = 0.0, 0.0
            for k in range(max(0, r - burn), r):
                ewma_step(change, k, alpha, seed, count, mean)
        for j in range(p):
            out[r, j] = np.sqrt(mean[j]) if count[j] >= need else np.nan
        ewma_step(change, r, alpha, seed, count, mean)
