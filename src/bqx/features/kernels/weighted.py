"""Mean of a window weighted by another series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.products import add, swap
from bqx.features.kernels.sums import RESTART

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

V, VX, COUNT, POSITIVE = 0, 2, 4, 5
"""Rows of the state: sums of v and v x, each followed by its rounding error, valid pairs, pairs with v > 0."""
WEIGHTED_ROWS = 6


@kernel
def _start(x: F8, v: F8, first: int, r: int, state: F8) -> None:
    """Sums of rows first .. r anew."""
    cap, p = x.shape
    for k in range(WEIGHTED_ROWS):
        for j in range(p):
            state[k, j] = 0.0
    for k in range(first, r + 1):
        for j in range(p):
            a, w = x[k % cap, j], v[k % cap, j]
            if (a == a) & (w == w):
                add(state, V, j, w)
                add(state, VX, j, w * a)
                state[COUNT, j] += 1.0
                state[POSITIVE, j] += 1.0 if w > 0.0 else 0.0


@kernel
def _slide(x: F8, v: F8, old: int, new: int, leaves: bool, state: F8) -> None:
    """Row `new` in and, if it `leaves`, row `old` out; one sum a loop, for longer ones do not vectorise."""
    p = x.shape[1]
    for j in range(p):
        a, w, b, z = x[old, j], v[old, j], x[new, j], v[new, j]
        drops, takes = leaves & (a == a) & (w == w), (b == b) & (z == z)
        w, z = w if drops else 0.0, z if takes else 0.0
        swap(state, V, j, w, z)
        state[COUNT, j] += (1.0 if takes else 0.0) - (1.0 if drops else 0.0)
        state[POSITIVE, j] += (1.0 if z > 0.0 else 0.0) - (1.0 if w > 0.0 else 0.0)
    for j in range(p):
        out, into = v[old, j] * x[old, j], v[new, j] * x[new, j]
        swap(state, VX, j, out if (out == out) & leaves else 0.0, into if into == into else 0.0)


@kernel
def weighted_step(x: F8, v: F8, r: int, seg_age: int, window: int, need: int, state: F8, out: F8, row: int) -> None:
    """Take bar r of the rings `x` and `v` (row k at k % len(x)) in; emit the weighted mean into out[row]."""
    cap = len(x)
    if seg_age % RESTART == 0:
        _start(x, v, max(r - window + 1, r - seg_age), r, state)
    else:
        _slide(x, v, (r - window) % cap, r % cap, seg_age >= window, state)
    enough = float(need) if seg_age >= window - 1 else np.inf
    for j in range(x.shape[1]):
        mean = (state[VX, j] + state[VX + 1, j]) / (state[V, j] + state[V + 1, j])
        out[row, j] = mean if (state[COUNT, j] >= enough) & (state[POSITIVE, j] > 0.0) else np.nan


@batch
def weighted_mean(out: F8, x: F8, v: F8, seg_age: I4, window: int, need: int) -> None:
    """Sum of v x over sum of v, v >= 0, of the last `window` rows of the segment where both are valid; NaN below `need`
    such rows and where all v are 0. Shape (n, pairs)."""
    state = np.zeros((WEIGHTED_ROWS, x.shape[1]))
    for r in range(len(x)):
        weighted_step(x, v, r, seg_age[r], window, need, state, out, r)
