"""Slope of the least-squares line through a window, each valid bar at its own place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.products import add, swap
from bqx.features.kernels.sums import RESTART, equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

SHIFT, COUNT, K1, K2, Y, KY = 0, 1, 2, 3, 4, 6
"""Rows of the state: what is subtracted of y, n, sums of the places k and k^2 (whole numbers, exact), of y and of k y;
the last two are followed by their rounding errors."""
LINE_ROWS = 8


@kernel
def _start(x: F8, first: int, r: int, state: F8) -> None:
    """Sums of rows first .. r anew, row r at place 0, shifted by their mean."""
    cap, p = x.shape
    for j in range(p):
        total, count = 0.0, 0.0
        for k in range(first, r + 1):
            value = x[k % cap, j]
            total += value if value == value else 0.0
            count += 1.0 if value == value else 0.0
        for row in range(LINE_ROWS):
            state[row, j] = 0.0
        shift = total / count if count > 0.0 else 0.0
        state[SHIFT, j], state[COUNT, j] = shift, count
        for k in range(first, r + 1):
            value = x[k % cap, j]
            if value == value:
                place = float(k - r)
                state[K1, j] += place
                state[K2, j] += place * place
                add(state, Y, j, value - shift)
                add(state, KY, j, place * (value - shift))


@kernel
def _slide(x: F8, old: int, new: int, leaves: bool, gone: float, place: float, state: F8) -> None:
    """Row `new` in at `place` and, if it `leaves`, row `old` at `gone` out; few sums a loop, for longer ones do not
    vectorise. A lane without values takes the next one as its shift."""
    p = x.shape[1]
    for j in range(p):
        a, b = x[old, j], x[new, j]
        out, into = 1.0 if (a == a) & leaves else 0.0, 1.0 if b == b else 0.0
        count = state[COUNT, j]
        shift = state[SHIFT, j]
        state[SHIFT, j] = b if (count == 0.0) & (b == b) else shift
        state[COUNT, j] = count + (into - out)
        state[K1, j] += place * into - gone * out
        state[K2, j] += (place * place) * into - (gone * gone) * out
    for j in range(p):
        shift, a, b = state[SHIFT, j], x[old, j], x[new, j]
        u = a - shift if (a == a) & leaves else 0.0
        w = b - shift if b == b else 0.0
        swap(state, Y, j, u, w)
        swap(state, KY, j, gone * u, place * w)


@kernel
def slope_step(
    x: F8, r: int, seg_age: int, window: int, need: int, state: F8, run: F8, last: F8, out: F8, row: int
) -> None:
    """Take bar r of the ring `x` (row k at k % len(x)) in; emit the slope into out[row]; see :func:`slopes`.

    state (LINE_ROWS, pairs); run, last : see `equal_run_step`.
    """
    cap, p = x.shape
    if seg_age == 0:
        for j in range(p):
            run[j], last[j] = 0.0, np.nan
    equal_run_step(x, r % cap, run, last)
    phase = seg_age % RESTART
    if phase == 0:
        _start(x, max(r - window + 1, r - seg_age), r, state)
    else:
        _slide(x, (r - window) % cap, r % cap, seg_age >= window, float(phase - window), float(phase), state)
    enough = float(need) if seg_age >= window - 1 else np.inf
    for j in range(p):
        n = state[COUNT, j]
        centre = state[K1, j] / n
        rise = (state[KY, j] + state[KY + 1, j]) - centre * (state[Y, j] + state[Y + 1, j])
        slope = rise / ((n * state[K2, j] - state[K1, j] * state[K1, j]) / n)
        slope = 0.0 if run[j] >= n else slope
        out[row, j] = slope if n >= enough else np.nan


@batch
def slopes(out: F8, x: F8, seg_age: I4, window: int, need: int) -> None:
    """Slope per bar of the least-squares line through the valid values of the last `window` rows of the segment; 0
    where all are equal, NaN below `need` (>= 2) of them. Shape (n, pairs)."""
    p = x.shape[1]
    state, run, last = np.zeros((LINE_ROWS, p)), np.zeros(p), np.full(p, np.nan)
    for r in range(len(x)):
        slope_step(x, r, seg_age[r], window, need, state, run, last, out, r)
