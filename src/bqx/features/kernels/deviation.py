"""The current value against the mean and the deviation of its window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import TINY, divides
from bqx.features.kernels.jit import kernel
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
I8 = NDArray[np.int64]


@kernel
def standard_row(
    x: F8, r: int, seg_age: int, window: int, need: int, state: F8, run: F8, last: F8, out: F8, at: int
) -> None:
    """Take bar r of the ring `x` in and write its z-score into out[at]; see :func:`standardised`."""
    now = r % len(x)
    equal_run_step(x, now, run, last)
    sums_step(x, r, window, r - seg_age, seg_age % RESTART == 0, state)
    enough = float(need if seg_age >= window - 1 else window + 1)
    for j in range(x.shape[1]):
        a = (x[now, j] - state[SHIFT, j]) - first_moment(state, j)
        variance = sample_variance(state, j)
        b = np.sqrt(variance)
        clear = state[COUNT, j] * variance > TINY * (state[S2, j] + state[E2, j])
        varied = (run[j] < state[COUNT, j]) & clear & divides(b, a)
        out[at, j] = a / b if (state[COUNT, j] >= enough) & varied else np.nan


def standardised(x: F8, seg_age: I4, window: int, need: int) -> F8:
    """(x - mean) / sample standard deviation of the last `window` rows of the segment; NaN where x is, below `need`
    valid values, where all of them are equal, which integer runs decide, and where their deviation is below a millionth
    of their distance from the sums' shift, for then it is rounding. Shape (n, pairs)."""
    out = np.empty(x.shape)
    _standardised(x, seg_age, window, need, out)
    return out


@kernel
def _standardised(x: F8, seg_age: I4, window: int, need: int, out: F8) -> None:
    n, p = x.shape
    state = np.zeros((STATE_ROWS, p))
    run, last = np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        standard_row(x, r, seg_age[r], window, need, state, run, last, out, r)


@kernel
def mean_row(x: F8, r: int, seg_age: int, window: int, need: int, state: F8, out: F8, at: int) -> None:
    """Take bar r of the ring `x` in and write the mean of its window into out[at]; see :func:`window_mean`."""
    now = r % len(x)
    sums_step(x, r, window, r - seg_age, seg_age % RESTART == 0, state)
    enough = float(need if seg_age >= window - 1 else window + 1)
    for j in range(x.shape[1]):
        ok = (state[COUNT, j] >= enough) & (x[now, j] == x[now, j])
        out[at, j] = state[SHIFT, j] + first_moment(state, j) if ok else np.nan


def window_mean(x: F8, seg_age: I4, window: int, need: int) -> F8:
    """Mean of the last `window` rows of the segment; NaN where x is and below `need` valid values. Shape (n, pairs)."""
    out = np.empty(x.shape)
    _window_mean(x, seg_age, window, need, out)
    return out


@kernel
def _window_mean(x: F8, seg_age: I4, window: int, need: int, out: F8) -> None:
    state = np.zeros((STATE_ROWS, x.shape[1]))
    for r in range(len(x)):
        mean_row(x, r, seg_age[r], window, need, state, out, r)
