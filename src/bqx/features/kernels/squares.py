"""Root of the sum of squares in a window: about zero, not about the mean, and exactly 0 where nothing moved.

As in kernels/sums.py: restarted at fixed phases, additions carry their rounding error (Knuth 1969, TwoSum), so that a
spike that has left the window leaves nothing behind. A square that leaves is the one that came, to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.sums import RESTART

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

STILL = 1e-9
"""A change of at most this (bps) is rounding noise of equal mid prices and counts as none."""

TOTAL, ERROR, COUNT, MOVED = range(4)
SQUARE_ROWS = 4
"""Rows of the state: the sum and its rounding error; valid values; those of them that are not still."""


@kernel
def squares_step(x: F8, r: int, window: int, floor: int, restart: bool, state: F8) -> None:
    """Make `state` (SQUARE_ROWS, pairs) cover rows max(r - window + 1, floor) .. r of the ring `x` (row k at
    k % len(x)); it covered the rows up to r - 1 before."""
    cap, p = x.shape
    if restart:
        for k in range(SQUARE_ROWS):
            for j in range(p):
                state[k, j] = 0.0
        for k in range(max(r - window + 1, floor), r):
            _slide(x, 0, k % cap, False, state)
    _slide(x, (r - window) % cap, r % cap, r - window >= floor and not restart, state)


@kernel
def _slide(x: F8, old: int, new: int, leaves: bool, state: F8) -> None:
    """Row `new` in and, if it `leaves`, row `old` out; two loops, for one does not vectorise."""
    p = x.shape[1]
    for j in range(p):
        a, b = x[old, j], x[new, j]
        gone = 1.0 if (a == a) & leaves else 0.0
        came = 1.0 if b == b else 0.0
        state[COUNT, j] += came - gone
        gone = 1.0 if (abs(a) > STILL) & leaves else 0.0
        came = 1.0 if abs(b) > STILL else 0.0
        state[MOVED, j] += came - gone
    for j in range(p):
        a, b = x[old, j], x[new, j]
        out = a * a if (abs(a) > STILL) & leaves else 0.0
        into = b * b if abs(b) > STILL else 0.0
        s, e = state[TOTAL, j], state[ERROR, j]
        t = s - out
        c = t - s
        e += (s - (t - c)) - (out + c)
        s = t + into
        c = s - t
        e += (t - (s - c)) + (into - c)
        moved = state[MOVED, j] > 0.0
        state[TOTAL, j] = s if moved else 0.0
        state[ERROR, j] = e if moved else 0.0


@kernel
def squares_row(window: int, enough: float, state: F8, out: F8, at: int) -> None:
    """The root into row `at` of `out`; the sum over n values is rescaled to `window` of them."""
    for j in range(state.shape[1]):
        n = state[COUNT, j]
        total = state[TOTAL, j] + state[ERROR, j]
        total = total if total > 0.0 else 0.0
        out[at, j] = np.sqrt(total * (window / n)) if n >= enough else np.nan


@batch
def root_sum_of_squares(out: F8, x: F8, seg_age: I4, window: int, need: int, across: bool) -> None:
    """sqrt(W / n times the sum of squares of the n valid values among the last `window` rows), NaN below `need` of
    them. All of the rows lie in the segment unless the window may reach `across` closures. Shape (n, pairs)."""
    n, p = x.shape
    state = np.zeros((SQUARE_ROWS, p))
    for r in range(n):
        age = seg_age[r]
        squares_step(x, r, window, 0 if across else r - age, age % RESTART == 0, state)
        squares_row(window, float(need) if across or age >= window - 1 else np.inf, state, out, r)
