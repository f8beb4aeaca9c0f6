"""Means over a panel's members, and the parity of three prices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.mathfun import log_ratio

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

BPS = 1e4
SPLIT = 134217729.0
"""2^27 + 1: halves the digits of a number."""


@batch
def member_mean(out: F8, x: F8, lanes: I8, signs: F8) -> None:
    """Mean of signs[j, i] x[:, lanes[j, i]] over i, added in their order, for each lane j; NaN where one is, or where a
    lane is -1, a member the panel lacks. Shapes (n, pairs); (pairs, members)."""
    n, p = x.shape
    count = lanes.shape[1]
    for r in range(n):
        for j in range(p):
            total = 0.0
            for i in range(count):
                k = lanes[j, i]
                total += signs[j, i] * (x[r, k] if k >= 0 else np.nan)
            out[r, j] = total / count


@kernel
def lost_in(a: float, b: float) -> float:
    """Rounding error of the product a b (Dekker 1971)."""
    c, d = SPLIT * a, SPLIT * b
    a1, b1 = c - (c - a), d - (d - b)
    a2, b2 = a - a1, b - b1
    error: float = a2 * b2 - (((a * b - a1 * b1) - a2 * b1) - a1 * b2)
    return error


@batch
def parity(out: F8, price: F8, lanes: I8, signs: F8) -> None:
    """Mean over i of 10^4 (ln price - s ln first - t ln second): first, second = lanes[j, i] and s, t = signs[j, i],
    each +1 or -1; what prices miss of an exact triangle. NaN where a price is, or where a lane is -1. Products are
    compared with their rounding errors, not logarithms: nearly all digits of a small residual are right. Shapes
    (n, pairs); (pairs, triangles, 2)."""
    n, p = price.shape
    count = lanes.shape[1]
    for r in range(n):
        for j in range(p):
            total = 0.0
            for i in range(count):
                above, below, lost, spare = price[r, j], 1.0, 0.0, 0.0
                for side in range(2):
                    k = lanes[j, i, side]
                    leg = price[r, k] if k >= 0 else np.nan
                    if signs[j, i, side] > 0.0:
                        spare = spare * leg + lost_in(below, leg)
                        below = below * leg
                    else:
                        lost = lost * leg + lost_in(above, leg)
                        above = above * leg
                total += BPS * (log_ratio(above, below) + (lost / above - spare / below))
            out[r, j] = total / count


@batch
def parity_of_levels(out: F8, x: F8, lanes: I8, signs: F8) -> None:
    """The same of three additive levels: mean over i of x - s first - t second."""
    n, p = x.shape
    count = lanes.shape[1]
    for r in range(n):
        for j in range(p):
            total = 0.0
            for i in range(count):
                value = x[r, j]
                for side in range(2):
                    k = lanes[j, i, side]
                    value -= signs[j, i, side] * (x[r, k] if k >= 0 else np.nan)
                total += value
            out[r, j] = total / count
