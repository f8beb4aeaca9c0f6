"""Cumulative sums of standard scores that signal a lasting shift of the mean (Page 1954), a trajectory a segment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, batches, kernel
from bqx.features.kernels.mathfun import log_ratio

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

UP, DOWN, SHOWN_UP, SHOWN_DOWN, ALARM, AGE, COUNT = range(7)
CUSUM_ROWS = 7
"""Rows of the state: both sums, 0 after an alarm; as they stood when the alarm was given; side of the alarm; values
since the last; values taken in."""


@kernel
def clear(cap: float, state: F8) -> None:
    """A fresh trajectory: no sums, and no alarm within `cap` values."""
    for k in range(len(state)):
        for j in range(state.shape[1]):
            state[k, j] = 0.0
    for j in range(state.shape[1]):
        state[AGE, j] = cap


@kernel
def cusum_step(z: F8, row: int, slack: float, limit: float, cap: float, state: F8) -> None:
    """Take one row of scores in; NaN lanes hold. The two sums cannot pass the limit at once."""
    for j in range(z.shape[1]):
        v = z[row, j]
        valid = v == v
        v = v if valid else 0.0
        up, down = (state[UP, j] + v) - slack, (state[DOWN, j] - v) - slack
        up, down = up if up > 0.0 else 0.0, down if down > 0.0 else 0.0
        side = (1.0 if up > limit else 0.0) - (1.0 if down > limit else 0.0)
        age = state[AGE, j] + 1.0
        age = age if age < cap else cap
        age = 0.0 if side != 0.0 else age
        after_up, after_down = 0.0 if side != 0.0 else up, 0.0 if side != 0.0 else down
        state[UP, j] = after_up if valid else state[UP, j]
        state[DOWN, j] = after_down if valid else state[DOWN, j]
        state[SHOWN_UP, j] = up if valid else np.nan
        state[SHOWN_DOWN, j] = down if valid else np.nan
        state[ALARM, j] = side if valid else np.nan
        state[AGE, j] = age if valid else state[AGE, j]
        state[COUNT, j] += 1.0 if valid else 0.0


@kernel
def cusum_row(need: float, state: F8, out: tuple[F8, F8, F8, F8], row: int) -> None:
    """See :func:`cusum`."""
    for j in range(state.shape[1]):
        ok = state[COUNT, j] >= need
        out[0][row, j] = state[SHOWN_UP, j] if ok else np.nan
        out[1][row, j] = state[SHOWN_DOWN, j] if ok else np.nan
        out[2][row, j] = state[ALARM, j] if ok else np.nan
        out[3][row, j] = state[AGE, j] if ok & (state[ALARM, j] == state[ALARM, j]) else np.nan


@batches(4)
def cusum(
    out: tuple[F8, F8, F8, F8], z: F8, seg_age: I4, slack: float, limit: float, cap: int, need: int, burn: int
) -> None:
    """S+ = max(0, S+ + z - slack); S- = max(0, S- - z - slack); +1, -1 or 0 where S+, S- or none is above `limit`, both
    being 0 after that; values since such an alarm, at most `cap`. The sums are those before they are put to 0. NaN
    where z is and before `need` values were taken in; a segment's trajectory starts `burn` open minutes before it.
    Shapes (n, pairs)."""
    n, p = z.shape
    state = np.zeros((CUSUM_ROWS, p))
    for r in range(n):
        if seg_age[r] == 0:
            clear(float(cap), state)
            for k in range(max(0, r - burn), r):
                cusum_step(z, k, slack, limit, float(cap), state)
        cusum_step(z, r, slack, limit, float(cap), state)
        cusum_row(float(need), state, out, r)


@batch
def log_square(out: F8, x: F8, deviation: F8, part: float) -> None:
    """ln(x^2 + part deviation^2), NaN where either is. Shape (n, pairs)."""
    for r in range(len(x)):
        for j in range(x.shape[1]):
            d = deviation[r, j]
            v = x[r, j] * x[r, j] + part * (d * d)
            out[r, j] = log_ratio(v if v > 0.0 else 1.0, 1.0) if v > 0.0 else np.nan
