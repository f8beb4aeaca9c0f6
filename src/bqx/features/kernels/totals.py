"""Windowed sums of many series side by side, as they are: for terms that are near or above 0, not for levels.

As in kernels/sums.py, additions carry their rounding error and restart at fixed phases, but nothing is shifted, so that
a lane is one series and all series of all pairs advance in one loop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY

F8 = NDArray[np.float64]

SMALL = TINY * TINY
"""A mean square (bps^2) of at most this is nothing."""

TOTAL, ERROR, COUNT = range(3)
TOTAL_ROWS = 3
"""Rows of a state: sum, its rounding error, number of values that are not NaN."""


@kernel
def _slide(x: F8, old: int, new: int, leaves: bool, state: F8, begin: int, end: int) -> None:
    """Row `new` in and, if it `leaves`, row `old` out; NaN lanes move an exact 0."""
    for j in range(begin, end):
        a, b = x[old, j], x[new, j]
        goes, comes = (a == a) & leaves, b == b
        u, v = a if goes else 0.0, b if comes else 0.0
        s = state[TOTAL, j]
        t = s - u
        k = t - s
        e = state[ERROR, j] + ((s - (t - k)) - (u + k))
        s = t + v
        k = s - t
        state[ERROR, j] = e + ((t - (s - k)) + (v - k))
        state[TOTAL, j] = s
        state[COUNT, j] += (1.0 if comes else 0.0) - (1.0 if goes else 0.0)


@kernel
def totals_step(x: F8, r: int, window: int, floor: int, restart: bool, state: F8, begin: int, end: int) -> None:
    """Make lanes begin .. end - 1 of `state` (TOTAL_ROWS, lanes) cover rows max(r - window + 1, floor) .. r of the ring
    `x` (row k at k % len(x)). They covered the rows up to r - 1 before."""
    cap = len(x)
    if restart:
        for k in range(TOTAL_ROWS):
            for j in range(begin, end):
                state[k, j] = 0.0
        for k in range(max(r - window + 1, floor), r):
            _slide(x, 0, k % cap, False, state, begin, end)
    _slide(x, (r - window) % cap, r % cap, (r - window >= floor) & (not restart), state, begin, end)


@kernel
def mean(state: F8, j: int) -> float:
    """Mean of the values in a lane; NaN without any."""
    m: float = (state[TOTAL, j] + state[ERROR, j]) / state[COUNT, j]
    return m
