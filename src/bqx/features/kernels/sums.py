"""Windowed sums of x - shift and its powers, restarted at fixed phases so that bits do not depend on the past.

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
S3, E3, S4, E4 = range(6, 10)
POWER_ROWS = 10
"""A state of this many rows also carries the third and fourth powers."""


@kernel
def _take(x: F8, row: int, sign: float, state: F8) -> None:
    """Add (sign 1) or remove (sign -1) one row; NaN lanes add an exact 0. No branches, so that lanes vectorise."""
    for j in range(x.shape[1]):
        value = x[row, j]
        valid = value == value
        d = value - state[SHIFT, j] if valid else 0.0
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
        state[COUNT, j] += sign if valid else 0.0


@kernel
def _refill(x: F8, row: int, state: F8) -> None:
    """An empty lane starts anew, shifted by the value that is about to enter."""
    empty = 0
    for j in range(x.shape[1]):
        empty += state[COUNT, j] == 0.0
    if empty:
        for j in range(x.shape[1]):
            if state[COUNT, j] == 0.0:
                for k in range(len(state)):
                    state[k, j] = 0.0
                state[SHIFT, j] = x[row, j] if x[row, j] == x[row, j] else 0.0


@kernel
def _restart(x: F8, r: int, first: int, state: F8) -> None:
    """Sums of rows first .. r anew, shifted by their mean."""
    cap, p = x.shape
    for j in range(p):
        for k in range(STATE_ROWS):
            state[k, j] = 0.0
    for k in range(first, r + 1):
        row = k % cap
        for j in range(p):
            valid = x[row, j] == x[row, j]
            state[S1, j] += x[row, j] if valid else 0.0
            state[COUNT, j] += 1.0 if valid else 0.0
    for j in range(p):
        state[SHIFT, j] = state[S1, j] / state[COUNT, j] if state[COUNT, j] > 0.0 else 0.0
        state[S1, j], state[COUNT, j] = 0.0, 0.0
    for k in range(first, r + 1):
        _take(x, k % cap, 1.0, state)


@kernel
def sums_step(x: F8, r: int, window: int, floor: int, restart: bool, state: F8) -> None:
    """Make `state` (6, pairs) cover rows max(r - window + 1, floor) .. r of the ring `x` (row k at k % len(x)).

    `state` covered the rows up to r - 1 before. NaN rows of a lane do not count.
    """
    cap = len(x)
    if restart:
        _restart(x, r, max(r - window + 1, floor), state)
        return
    if r - window >= floor:
        _slide(x, (r - window) % cap, r % cap, state)
    else:
        _refill(x, r % cap, state)
        _take(x, r % cap, 1.0, state)


@kernel
def _slide(x: F8, old: int, new: int, state: F8) -> None:
    """:func:`_take` of `old` out, :func:`_refill`, :func:`_take` of `new` in: the same operations in one loop, so that
    each sum is loaded and stored once."""
    for j in range(x.shape[1]):
        shift = state[SHIFT, j]
        value = x[old, j]
        valid = value == value
        d = value - shift if valid else 0.0
        v = -d
        s = state[S1, j]
        s1 = s + v
        b = s1 - s
        e1 = state[E1, j] + ((s - (s1 - b)) + (v - b))
        v = -(d * d)
        s = state[S2, j]
        s2 = s + v
        b = s2 - s
        e2 = state[E2, j] + ((s - (s2 - b)) + (v - b))
        count = state[COUNT, j] - (1.0 if valid else 0.0)
        value = x[new, j]
        valid = value == value
        empty = count == 0.0
        shift = (value if valid else 0.0) if empty else shift
        s1, e1 = 0.0 if empty else s1, 0.0 if empty else e1
        s2, e2 = 0.0 if empty else s2, 0.0 if empty else e2
        d = value - shift if valid else 0.0
        t = s1 + d
        b = t - s1
        state[E1, j] = e1 + ((s1 - (t - b)) + (d - b))
        state[S1, j] = t
        v = d * d
        t = s2 + v
        b = t - s2
        state[E2, j] = e2 + ((s2 - (t - b)) + (v - b))
        state[S2, j] = t
        state[SHIFT, j] = shift
        state[COUNT, j] = count + (1.0 if valid else 0.0)


@kernel
def _take_powers(x: F8, row: int, sign: float, state: F8) -> None:
    """As :func:`_take`, up to the fourth power; one loop a power, for longer ones do not vectorise."""
    _take(x, row, sign, state)
    for j in range(x.shape[1]):
        value = x[row, j]
        d = value - state[SHIFT, j] if value == value else 0.0
        v = sign * ((d * d) * d)
        s = state[S3, j]
        t = s + v
        b = t - s
        state[E3, j] += (s - (t - b)) + (v - b)
        state[S3, j] = t
    for j in range(x.shape[1]):
        value = x[row, j]
        d = value - state[SHIFT, j] if value == value else 0.0
        v = sign * ((d * d) * (d * d))
        s = state[S4, j]
        t = s + v
        b = t - s
        state[E4, j] += (s - (t - b)) + (v - b)
        state[S4, j] = t


@kernel
def powers_step(x: F8, r: int, window: int, floor: int, restart: bool, state: F8, limit: float) -> None:
    """:func:`sums_step` for a state of POWER_ROWS rows, followed by :func:`recentre`."""
    cap = len(x)
    first = max(r - window + 1, floor)
    if restart:
        for j in range(x.shape[1]):
            _recentre_lane(x, first, r, j, state)
        return
    if r - window >= floor:
        _take_powers(x, (r - window) % cap, -1.0, state)
    _refill(x, r % cap, state)
    _take_powers(x, r % cap, 1.0, state)
    recentre(x, first, r, state, limit)


@kernel
def recentre(x: F8, first: int, r: int, state: F8, limit: float) -> None:
    """Lanes whose mean lies more than sqrt(limit) population deviations from the shift start anew over rows
    first .. r, so that a spike that has left, or a drift, costs no digits. What triggers it is the state itself, so
    bits stay anchored."""
    bad = 0
    for j in range(x.shape[1]):
        s = state[S1, j] + state[E1, j]
        square = s * s / state[COUNT, j]
        bad += 1 if square > limit * (state[S2, j] + state[E2, j] - square) else 0
    if bad:
        for j in range(x.shape[1]):
            s = state[S1, j] + state[E1, j]
            square = s * s / state[COUNT, j]
            if square > limit * (state[S2, j] + state[E2, j] - square):
                _recentre_lane(x, first, r, j, state)


@kernel
def _recentre_lane(x: F8, first: int, r: int, j: int, state: F8) -> None:
    """Sums of rows first .. r of one lane anew, shifted by their mean."""
    cap = len(x)
    total, count = 0.0, 0.0
    for k in range(first, r + 1):
        value = x[k % cap, j]
        valid = value == value
        total += value if valid else 0.0
        count += 1.0 if valid else 0.0
    shift = total / count if count > 0.0 else 0.0
    for k in range(len(state)):
        state[k, j] = 0.0
    state[SHIFT, j], state[COUNT, j] = shift, count
    powers = len(state) > STATE_ROWS
    for k in range(first, r + 1):
        value = x[k % cap, j]
        d = value - shift if value == value else 0.0
        square = d * d
        _add(state, S1, j, d)
        _add(state, S2, j, square)
        if powers:
            _add(state, S3, j, square * d)
            _add(state, S4, j, square * square)


@kernel
def _add(state: F8, at: int, j: int, v: float) -> None:
    """Add to the sum in row `at`, its rounding error to the row after."""
    s = state[at, j]
    t = s + v
    b = t - s
    state[at + 1, j] += (s - (t - b)) + (v - b)
    state[at, j] = t


@kernel
def first_moment(state: F8, j: int) -> float:
    """Mean of the window less the shift."""
    mean: float = (state[S1, j] + state[E1, j]) / state[COUNT, j]
    return mean


@kernel
def sample_variance(state: F8, j: int) -> float:
    """Variance with ddof 1, never below 0; NaN for fewer than two values."""
    n = state[COUNT, j]
    s = state[S1, j] + state[E1, j]
    v: float = (state[S2, j] + state[E2, j] - s * s / n) / (n - 1.0)
    v = v if v > 0.0 else 0.0
    return v if n >= 2.0 else np.nan


@kernel
def equal_run_step(x: F8, row: int, run: F8, last: F8) -> None:
    """Length, a whole number, of the run of equal valid values that ends here; a window it covers is flat."""
    for j in range(len(run)):
        v = x[row, j]
        valid = v == v
        run[j] = (run[j] + 1.0 if v == last[j] else 1.0) if valid else run[j]
        last[j] = v if valid else last[j]
