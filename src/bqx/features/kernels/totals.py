"""Windowed sums of many series side by side, as they are: for terms that are near or above 0, not for levels.

As in kernels/sums.py, additions carry their rounding error and restart at fixed phases, but nothing is shifted. Arrays
are (rows, series, pairs).
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
    for i in range(begin, end):
        for j in range(x.shape[2]):
            a, b = x[old, i, j], x[new, i, j]
            goes, comes = (a == a) & leaves, b == b
            u, v = a if goes else 0.0, b if comes else 0.0
            s = state[TOTAL, i, j]
            t = s - u
            k = t - s
            e = state[ERROR, i, j] + ((s - (t - k)) - (u + k))
            s = t + v
            k = s - t
            state[ERROR, i, j] = e + ((t - (s - k)) + (v - k))
            state[TOTAL, i, j] = s
    for j in range(x.shape[2]):
        a, b = x[old, begin, j], x[new, begin, j]
        state[COUNT, begin, j] += (1.0 if b == b else 0.0) - (1.0 if (a == a) & leaves else 0.0)


@kernel
def totals_step(x: F8, r: int, window: int, floor: int, restart: bool, state: F8, begin: int, end: int) -> None:
    """Make series begin .. end - 1 of `state` (TOTAL_ROWS or more, series, pairs) cover rows max(r - window + 1, floor)
    .. r of the ring `x` (row k at k % len(x)). They covered the rows up to r - 1 before.

    They are NaN in the same places, so that COUNT is kept for series `begin` alone.
    """
    cap = len(x)
    if restart:
        for k in range(TOTAL_ROWS):
            for i in range(begin, end):
                for j in range(x.shape[2]):
                    state[k, i, j] = 0.0
        for k in range(max(r - window + 1, floor), r):
            _slide(x, 0, k % cap, False, state, begin, end)
    _slide(x, (r - window) % cap, r % cap, (r - window >= floor) & (not restart), state, begin, end)


@kernel
def mean(state: F8, i: int, counted: int, j: int) -> float:
    """Mean of the valid values of series i, as many as those of series `counted`; NaN without any."""
    m: float = (state[TOTAL, i, j] + state[ERROR, i, j]) / state[COUNT, counted, j]
    return m
