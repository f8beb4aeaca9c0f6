"""Windowed correlation of two aligned series from sums, each series shifted by a value of its own.

As in kernels/sums.py: restarted at fixed phases, additions carry their rounding error, a lane whose mean has drifted
from its shift starts anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import NEAR, TINY
from bqx.features.kernels.sums import RESTART, equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

SHIFT, COUNT, A, AA, B, BB, AB, SHIFT_B = 0, 1, 2, 4, 6, 8, 10, 12
"""Rows of the state; each sum is followed by its rounding error."""
PRODUCT_ROWS = 13


@kernel
def add(state: F8, at: int, j: int, v: float) -> None:
    """Add to the sum in row `at`, its rounding error to the row after."""
    s = state[at, j]
    t = s + v
    b = t - s
    state[at + 1, j] += (s - (t - b)) + (v - b)
    state[at, j] = t


@kernel
def _start_lane(a: F8, b: F8, first: int, r: int, j: int, state: F8) -> None:
    """Sums of rows first .. r of one lane anew, shifted by the means of a and b."""
    cap = len(a)
    total, other, count = 0.0, 0.0, 0.0
    for k in range(first, r + 1):
        valid = a[k % cap, j] == a[k % cap, j]
        total += a[k % cap, j] if valid else 0.0
        other += b[k % cap, j] if valid else 0.0
        count += 1.0 if valid else 0.0
    shift, shift_b = (total / count, other / count) if count > 0.0 else (0.0, 0.0)
    for k in range(PRODUCT_ROWS):
        state[k, j] = 0.0
    state[SHIFT, j], state[SHIFT_B, j], state[COUNT, j] = shift, shift_b, count
    for k in range(first, r + 1):
        u, v = a[k % cap, j], b[k % cap, j]
        if u == u:
            u, v = u - shift, v - shift_b
            add(state, A, j, u)
            add(state, AA, j, u * u)
            add(state, B, j, v)
            add(state, BB, j, v * v)
            add(state, AB, j, u * v)


@kernel
def swap(state: F8, at: int, j: int, old: float, new: float) -> None:
    """`old` out of the sum in row `at` and `new` in, the state touched once."""
    s, e = state[at, j], state[at + 1, j]
    t = s - old
    b = t - s
    e += (s - (t - b)) - (old + b)
    s = t + new
    b = s - t
    state[at + 1, j] = e + ((t - (s - b)) + (new - b))
    state[at, j] = s


@kernel
def _slide(a: F8, b: F8, old: int, new: int, leaves: bool, state: F8) -> None:
    """Row `new` in and, if it `leaves`, row `old` out; few sums a loop, for longer ones do not vectorise."""
    p = a.shape[1]
    for j in range(p):
        shift, x, y = state[SHIFT, j], a[old, j], a[new, j]
        u = x - shift if (x == x) & leaves else 0.0
        w = y - shift if y == y else 0.0
        swap(state, A, j, u, w)
        swap(state, AA, j, u * u, w * w)
    for j in range(p):
        shift, x, y = state[SHIFT_B, j], b[old, j], b[new, j]
        u = x - shift if (x == x) & leaves else 0.0
        w = y - shift if y == y else 0.0
        swap(state, B, j, u, w)
        swap(state, BB, j, u * u, w * w)
    for j in range(p):
        shift, shift_b = state[SHIFT, j], state[SHIFT_B, j]
        x, y, u, v = a[old, j], b[old, j], a[new, j], b[new, j]
        out = (x - shift) * (y - shift_b) if (x == x) & leaves else 0.0
        into = (u - shift) * (v - shift_b) if u == u else 0.0
        swap(state, AB, j, out, into)
        state[COUNT, j] += (1.0 if u == u else 0.0) - (1.0 if (x == x) & leaves else 0.0)


@kernel
def products_step(a: F8, b: F8, r: int, window: int, floor: int, restart: bool, state: F8) -> None:
    """Make `state` (PRODUCT_ROWS, pairs) cover rows max(r - window + 1, floor) .. r of the rings `a` and `b`, which are
    NaN in the same places."""
    cap, p = a.shape
    first = max(r - window + 1, floor)
    if restart:
        for j in range(p):
            _start_lane(a, b, first, r, j, state)
        return
    _slide(a, b, (r - window) % cap, r % cap, r - window >= floor, state)
    stale = 0
    for j in range(p):
        u, v, n = state[A, j] + state[A + 1, j], state[B, j] + state[B + 1, j], state[COUNT, j]
        far_a = (1.0 + NEAR) * (u * u) > NEAR * n * (state[AA, j] + state[AA + 1, j])
        far_b = (1.0 + NEAR) * (v * v) > NEAR * n * (state[BB, j] + state[BB + 1, j])
        stale += 1 if far_a | far_b | (n <= 1.0) else 0
    if stale:
        for j in range(p):
            u, v, n = state[A, j] + state[A + 1, j], state[B, j] + state[B + 1, j], state[COUNT, j]
            far_a = (1.0 + NEAR) * (u * u) > NEAR * n * (state[AA, j] + state[AA + 1, j])
            far_b = (1.0 + NEAR) * (v * v) > NEAR * n * (state[BB, j] + state[BB + 1, j])
            if n == 0.0:  # nothing to start from: no look at the window
                for k in range(PRODUCT_ROWS):
                    state[k, j] = 0.0
            elif far_a | far_b | (n <= 1.0):
                _start_lane(a, b, first, r, j, state)


@kernel
def correlation_row(state: F8, runs: tuple[F8, F8], enough: float, out: F8, row: int) -> None:
    """The correlation of what `state` covers into out[row]; NaN below `enough` rows and where either side is flat."""
    for j in range(state.shape[1]):
        n = state[COUNT, j]
        u, v = state[A, j] + state[A + 1, j], state[B, j] + state[B + 1, j]
        uu = n * (state[AA, j] + state[AA + 1, j]) - u * u
        vv = n * (state[BB, j] + state[BB + 1, j]) - v * v
        uv = n * (state[AB, j] + state[AB + 1, j]) - u * v
        least = (TINY * n) * (TINY * n)
        c = uv / np.sqrt(uu * vv)
        c = c if c < 1.0 else 1.0
        c = c if c > -1.0 else -1.0
        ok = (n >= enough) & (runs[0][j] < n) & (runs[1][j] < n) & (uu > least) & (vv > least)
        out[row, j] = c if ok else np.nan


@kernel
def correlation_step(
    a: F8, b: F8, r: int, seg_age: int, window: int, need: int, state: F8, runs: tuple[F8, F8], lasts: tuple[F8, F8],
    out: F8, row: int,
) -> None:  # fmt: skip
    """Take bar r in; emit the correlation of a and b over the last `window` rows of the segment into out[row]; NaN
    below `need` valid rows and where either side is flat. runs, lasts : of a and of b, see `equal_run_step`."""
    cap, p = a.shape
    if seg_age == 0:
        for j in range(p):
            runs[0][j], runs[1][j], lasts[0][j], lasts[1][j] = 0.0, 0.0, np.nan, np.nan
    equal_run_step(a, r % cap, runs[0], lasts[0])
    equal_run_step(b, r % cap, runs[1], lasts[1])
    products_step(a, b, r, window, r - seg_age, seg_age % RESTART == 0, state)
    correlation_row(state, runs, float(need) if seg_age >= window - 1 else np.inf, out, row)


@kernel
def correlations(a: F8, b: F8, seg_age: I4, window: int, need: int, out: F8) -> None:
    """:func:`correlation_step` over all bars; shapes (n, pairs)."""
    n, p = a.shape
    state = np.zeros((PRODUCT_ROWS, p))
    runs, lasts = (np.zeros(p), np.zeros(p)), (np.full(p, np.nan), np.full(p, np.nan))
    for r in range(n):
        correlation_step(a, b, r, seg_age[r], window, need, state, runs, lasts, out, r)
