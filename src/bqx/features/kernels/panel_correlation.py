"""How much the lanes of a panel move together: mean absolute correlation and the share of the first component."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.pair_sums import (
    COUNT,
    RUN,
    XX,
    Sums,
    X,
    pair_correlations,
    pair_number,
    pair_sums,
    pair_sums_step,
)
from bqx.features.kernels.tridiagonal import largest_eigenvalue

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
Held = tuple[F8, F8, F8, I8]
"""A correlation a pair of lanes, the matrix, work space of :func:`largest_eigenvalue`, the lanes chosen."""


@kernel
def held_for(p: int) -> Held:
    return np.empty(p * (p - 1) // 2), np.empty((p, p)), np.empty((3, p)), np.empty(p, np.int64)


@kernel
def _choose(sums: Sums, need: int, chosen: I8) -> int:
    """Lanes with enough values that are not all equal; returns how many."""
    lanes = sums[0]
    count = 0
    for j in range(lanes.shape[1]):
        n = lanes[COUNT, j]
        u = lanes[X, j] + lanes[X + 1, j]
        variance = n * (lanes[XX, j] + lanes[XX + 1, j]) - u * u
        if n >= need and lanes[RUN, j] < n and variance > (TINY * n) * (TINY * n):
            chosen[count] = j
            count += 1
    return count


@kernel
def _mean_size(correlations: F8, chosen: I8, count: int, p: int) -> float:
    total, many = 0.0, 0
    for i in range(count - 1):
        for k in range(i + 1, count):
            c = correlations[pair_number(chosen[i], chosen[k], p)]
            total += abs(c) if c == c else 0.0
            many += 1 if c == c else 0
    return total / many if many > 0 else np.nan


@kernel
def _first_share(correlations: F8, chosen: I8, count: int, p: int, matrix: F8, work: F8) -> float:
    for i in range(count):
        matrix[i, i] = 1.0
        for k in range(i + 1, count):
            c = correlations[pair_number(chosen[i], chosen[k], p)]
            c = c if c == c else 0.0
            matrix[i, k], matrix[k, i] = c, c
    return largest_eigenvalue(matrix, count, work) / count


@kernel
def panel_correlation_step(
    x: F8, r: int, seg_age: int, window: int, need: int, least: int, every: int, sums: Sums, held: Held, share: float
) -> tuple[float, float]:
    """Take bar r of the ring `x` in; mean absolute correlation, and the share, which stays `share` unless it is
    refreshed at this bar. See :func:`panel_correlation`."""
    correlations, matrix, work, chosen = held
    pair_sums_step(x, r, seg_age, window, sums)
    fresh = seg_age % every == 0
    if seg_age < window - 1:
        return np.nan, np.nan
    count = _choose(sums, need, chosen)
    if count < least:
        return np.nan, np.nan if fresh else share
    p = x.shape[1]
    pair_correlations(sums, seg_age, window, 2.0 * need - window, correlations)
    if fresh:
        share = _first_share(correlations, chosen, count, p, matrix, work)
    return _mean_size(correlations, chosen, count, p), share


def panel_correlation(x: F8, seg_age: I4, window: int, need: int, least: int, every: int) -> tuple[F8, F8]:
    """Over the lanes with `need` of the last `window` rows of the segment and some variation, of which there must be
    `least`: the mean absolute correlation of two of them over the rows that both have, and the largest eigenvalue of
    their correlation matrix over their number, the latter where seg_age is a multiple of `every`, else the one found
    there last. Two lanes of which one stands still in their common rows count as unrelated. Shapes (n,)."""
    out = (np.empty(len(x)), np.empty(len(x)))
    _panel_correlation(x, seg_age, window, need, least, every, out)
    return out


@kernel
def _panel_correlation(
    x: F8, seg_age: I4, window: int, need: int, least: int, every: int, out: tuple[F8, F8]
) -> None:  # fmt: skip
    n, p = x.shape
    sums, held, share = pair_sums(p), held_for(p), np.nan
    for r in range(n):
        mean, share = panel_correlation_step(x, r, seg_age[r], window, need, least, every, sums, held, share)
        out[0][r], out[1][r] = mean, share
