"""Windowed sums of x - shift and its square, restarted at fixed phases so that bits do not depend on the past.

Running sums drift and lose all digits on price levels. Here each lane is shifted by the mean of the window that
ends at the last restart (never by what comes later), and additions carry their rounding error along (Knuth 1969,
TwoSum), so that a value that has left the window leaves nothing behind.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]

RESTART = 1024
"""Sums restart where seg_age is a multiple of this."""

SHIFT, S1, E1, S2, E2, COUNT = range(6)
STATE_ROWS = 6


@kernel
def _add(state: F8, j: int, x: float, sign: float) -> None:
    d = x - state[SHIFT, j]
    v = sign * d
    s = state[S1, j]
    t = s + v
    b = t - s
    state[E1, j] += (s - (t - b)) + (v - b)
    state[S1, j] = t
    v = sign * (d * d)
    s = state[S2, j]
    t = s + v
    b = t - s
    state[E2, j] += (s - (t - b)) + (v - b)
    state[S2, j] = t
    state[COUNT, j] += sign


@kernel
def _clear(state: F8, j: int, shift: float) -> None:
    state[:, j] = 0.0
    state[SHIFT, j] = shift


@kernel
def sums_step(x: F8, r: int, window: int, floor: int, restart: bool, state: F8) -> None:
    """Make `state` (6, pairs) cover rows max(r - window + 1, floor) .. r of the ring `x` (row k at k % len(x)).

    `state` covered the rows up to r - 1 before. NaN rows of a lane do not count.
    """
    cap, p = x.shape
    first = max(r - window + 1, floor)
    if restart:
        for j in range(p):
            total, count = 0.0, 0
            for k in range(first, r + 1):
                v = x[k % cap, j]
                if v == v:
                    total += v
                    count += 1
            _clear(state, j, total / count if count else 0.0)
        for k in range(first, r + 1):
            row = k % cap
            for j in range(p):
                if x[row, j] == x[row, j]:
                    _add(state, j, x[row, j], 1.0)
        return
    new, old = r % cap, (r - window) % cap
    leaves = r - window >= floor
    for j in range(p):
        v = x[new, j]
        if leaves and x[old, j] == x[old, j]:
            _add(state, j, x[old, j], -1.0)
        if v == v:
            if state[COUNT, j] == 0.0:
                _clear(state, j, v)
            _add(state, j, v, 1.0)


@kernel
def first_moment(state: F8, j: int) -> float:
    """Mean of the window less the shift."""
    mean: float = (state[S1, j] + state[E1, j]) / state[COUNT, j]
    return mean


@kernel
def sample_variance(state: F8, j: int) -> float:
    """Variance with ddof 1, never below 0; NaN for fewer than two values."""
    n = state[COUNT, j]
    if n < 2.0:
        return np.nan
    s = state[S1, j] + state[E1, j]
    v: float = (state[S2, j] + state[E2, j] - s * s / n) / (n - 1.0)
    return v if v > 0.0 else 0.0


@kernel
def equal_run_step(x_row: F8, run: NDArray[np.int64], last: F8) -> None:
    """Length of the run of equal valid values that ends here; a window is flat when the run covers its count."""
    for j in range(len(run)):
        v = x_row[j]
        if v == v:
            run[j] = run[j] + 1 if v == last[j] else 1
            last[j] = v
