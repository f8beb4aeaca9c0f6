"""A value against the window of values before it, over closures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import FLOOR, divides
from bqx.features.kernels.jit import batches, kernel
from bqx.features.kernels.moments import FAR
from bqx.features.kernels.sums import (
    COUNT,
    RESTART,
    SHIFT,
    STATE_ROWS,
    equal_run_step,
    first_moment,
    recentre,
    sample_variance,
    sums_step,
)

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def before_step(x: F8, r: int, seg_age: int, window: int, state: F8, run: F8, last: F8) -> None:
    """Make the sums cover the `window` rows before row r of the ring `x` (row k at k % len(x)); they restart at phases
    of r's own segment, so that they see no further back than a window before it."""
    if r > 0:
        equal_run_step(x, (r - 1) % len(x), run, last)
        sums_step(x, r - 1, window, 0, seg_age % RESTART == 0, state)
        recentre(x, max(r - window, 0), r - 1, state, FAR)


@kernel
def before_row(x: F8, r: int, need: float, state: F8, run: F8, score: F8, deviation: F8, at: int) -> None:
    """Score and deviation of row r into row `at`; see :func:`score_before`."""
    now = r % len(x)
    for j in range(x.shape[1]):
        b = np.sqrt(sample_variance(state, j))
        known = (state[COUNT, j] >= need) & (run[j] < state[COUNT, j]) & (b > FLOOR)
        a = (x[now, j] - state[SHIFT, j]) - first_moment(state, j)
        deviation[at, j] = b if known else np.nan
        score[at, j] = a / b if known & divides(b, a) else np.nan


@batches(2)
def score_before(out: tuple[F8, F8], x: F8, seg_age: I4, window: int, need: int) -> None:
    """(x - mean) / deviation, and the sample deviation, of the `window` open minutes before each; NaN below `need`
    valid ones and where these are all equal (integer runs decide) or deviate by at most 1e-9; the score also where x
    is. Shapes (n, pairs)."""
    state, run, last = np.zeros((STATE_ROWS, x.shape[1])), np.zeros(x.shape[1]), np.full(x.shape[1], np.nan)
    for r in range(len(x)):
        before_step(x, r, seg_age[r], window, state, run, last)
        before_row(x, r, float(need), state, run, out[0], out[1], r)
