"""z-scores over windows that reach across closures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import TINY, divides
from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.sums import (
    COUNT,
    E2,
    RESTART,
    S2,
    SHIFT,
    STATE_ROWS,
    equal_run_step,
    first_moment,
    sample_variance,
    sums_step,
)

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def score_across_row(
    x: F8, r: int, seg_age: int, window: int, need: int, state: F8, run: F8, last: F8, out: F8, at: int
) -> None:
    """Take bar r of the ring `x` in and write its z-score into out[at]; see :func:`scores_across`."""
    now = r % len(x)
    equal_run_step(x, now, run, last)
    sums_step(x, r, window, 0, seg_age % RESTART == 0, state)
    for j in range(x.shape[1]):
        a = (x[now, j] - state[SHIFT, j]) - first_moment(state, j)
        variance = sample_variance(state, j)
        b = np.sqrt(variance)
        clear = state[COUNT, j] * variance > TINY * (state[S2, j] + state[E2, j])
        varied = (run[j] < state[COUNT, j]) & clear & divides(b, a)
        out[at, j] = a / b if (state[COUNT, j] >= need) & varied else np.nan


@batch
def scores_across(out: F8, x: F8, seg_age: I4, window: int, need: int) -> None:
    """(x - mean) / sample standard deviation of the last `window` open minutes; NaN where x is, below `need` valid
    values and where they do not vary, as in kernels/deviation.py. Shape (n, pairs)."""
    n, p = x.shape
    state, run, last = np.zeros((STATE_ROWS, p)), np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        score_across_row(x, r, seg_age[r], window, need, state, run, last, out, r)
