"""Means over a panel's members, and the parity of three prices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch
from bqx.features.kernels.mathfun import log_ratio

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

BPS = 1e4


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


@batch
def parity(out: F8, price: F8, lanes: I8, signs: F8) -> None:
    """Mean over i of 10^4 (ln price - s ln first - t ln second): first, second = lanes[j, i] and s, t = signs[j, i],
    each +1 or -1; what prices miss of an exact triangle. NaN where a price is, or where a lane is -1. Products are
    compared, not logarithms, so that prices that agree to the last digit give 0 to 1e-12. Shapes (n, pairs);
    (pairs, triangles, 2)."""
    n, p = price.shape
    count = lanes.shape[1]
    for r in range(n):
        for j in range(p):
            total = 0.0
            for i in range(count):
                above, below = price[r, j], 1.0
                for side in range(2):
                    k = lanes[j, i, side]
                    leg = price[r, k] if k >= 0 else np.nan
                    above = above if signs[j, i, side] > 0.0 else above * leg
                    below = below * leg if signs[j, i, side] > 0.0 else below
                total += BPS * log_ratio(above, below)
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
