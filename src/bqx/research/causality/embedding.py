"""How many past values predict a series best, without a look at any other series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.market.sim_math import kernel

F8 = NDArray[np.float64]
MOST = 3
GAIN = 0.01
"""A deeper embedding must lower the squared error by this share."""
NEAR = 20


@kernel
def _errors(past: F8, now: F8, depth: int, k: int) -> float:
    """Mean squared error of the mean of `now` over the k rows whose first `depth` past values are nearest."""
    n = len(now)
    best, value = np.empty(k), np.empty(k)
    total = 0.0
    for i in range(n):
        best[:] = np.inf
        value[:] = 0.0
        for j in range(n):
            if j == i:
                continue
            d = 0.0
            for c in range(depth):
                d = max(d, abs(past[j, c] - past[i, c]))
            if d >= best[k - 1]:
                continue
            at = k - 1
            while at > 0 and best[at - 1] > d:
                best[at], value[at] = best[at - 1], value[at - 1]
                at -= 1
            best[at], value[at] = d, now[j]
        e = now[i] - value.mean()
        total += e * e
    return total / n


def ragwitz(past: F8, now: F8, near: int = NEAR) -> int:
    """Depth 1..3 by Ragwitz and Kantz (2002): a locally constant forecast of now (n,) from past (n, 3), latest first.

    The least depth from which one more does not lower the error by a hundredth.
    """
    past, now = np.ascontiguousarray(past), np.ascontiguousarray(now)
    error = [_errors(past, now, d, near) for d in range(1, past.shape[1] + 1)]
    depth = 1
    while depth < len(error) and error[depth] < (1.0 - GAIN) * error[depth - 1]:
        depth += 1
    return depth
