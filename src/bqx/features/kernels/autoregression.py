"""z-score and half-life of a stationary series over windows that reach across closures.

Sums start anew at each segment's first bar; they carry their rounding errors, which lasts for a segment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.autocorr import lagged_pairs
from bqx.features.kernels.divide import TINY as SHARE
from bqx.features.kernels.divide import divides
from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.products import AB, BB, PRODUCT_ROWS, A, B, products_step
from bqx.features.kernels.products import COUNT as PAIRED
from bqx.features.kernels.sums import (
    COUNT,
    E2,
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

LN2 = log_ratio(2.0, 1.0)
EDGE = 1e-5
"""A coefficient up to this is 0: its half-life, 0.06 bars, would be rounding, and its standard error is thousands of
times as large."""


@kernel
def standard_across_step(
    x: F8, r: int, seg_age: int, window: int, need: int, state: F8, run: F8, last: F8, out: F8, row: int
) -> None:
    """Take bar r of the ring `x` in and write its z-score into out[row]; see :func:`standardised_across`."""
    now = r % len(x)
    equal_run_step(x, now, run, last)
    sums_step(x, r, window, 0, seg_age == 0, state)
    for j in range(x.shape[1]):
        a = (x[now, j] - state[SHIFT, j]) - first_moment(state, j)
        variance = sample_variance(state, j)
        b = np.sqrt(variance)
        clear = state[COUNT, j] * variance > SHARE * (state[S2, j] + state[E2, j])
        varied = (run[j] < state[COUNT, j]) & clear & divides(b, a)
        out[row, j] = a / b if (state[COUNT, j] >= need) & varied else np.nan


@batch
def standardised_across(out: F8, x: F8, seg_age: I4, window: int, need: int) -> None:
    """(x - mean) / sample standard deviation of the last `window` open minutes; NaN where x is, below `need` valid
    values, and where they do not move. `x` has no closure gaps. Shape (n, pairs)."""
    n, p = x.shape
    state, run, last = np.zeros((STATE_ROWS, p)), np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        standard_across_step(x, r, seg_age[r], window, need, state, run, last, out, r)


@kernel
def half_life_across_step(
    now: F8, then: F8, r: int, seg_age: int, window: int, need: int, state: F8, run: F8, last: F8, out: F8, row: int
) -> None:
    """Take the pair of bar r of the rings `now` and `then` in; the half-life into out[row]."""
    equal_run_step(then, r % len(then), run, last)
    products_step(now, then, r, window, 0, seg_age == 0, state)
    for j in range(now.shape[1]):
        n = state[PAIRED, j]
        u, v = state[A, j] + state[A + 1, j], state[B, j] + state[B + 1, j]
        vv = n * (state[BB, j] + state[BB + 1, j]) - v * v
        phi = (n * (state[AB, j] + state[AB + 1, j]) - u * v) / vv
        decays = (phi > EDGE) & (phi < 1.0)
        bars = -LN2 / log_ratio(phi if decays else 0.5, 1.0)
        value = bars if decays & (bars < window) else float(window)
        ok = (n >= need) & (run[j] < n) & (vv > (TINY * n) * (TINY * n)) & (phi > EDGE)
        out[row, j] = value if ok else np.nan


@kernel
def _half_lives(now: F8, then: F8, seg_age: I4, window: int, need: int, out: F8) -> None:
    p = now.shape[1]
    state, run, last = np.zeros((PRODUCT_ROWS, p)), np.zeros(p), np.full(p, np.nan)
    for r in range(len(now)):
        half_life_across_step(now, then, r, seg_age[r], window, need, state, run, last, out, r)


def half_life_across(x: F8, seg_age: I4, window: int, need: int) -> F8:
    """min(ln 0.5 / ln phi, window) bars, phi of the least squares x(s) = c + phi x(s-1) over the last `window` pairs,
    both of a pair in one segment; `window` for phi >= 1, NaN for phi <= 0 (EDGE), below `need` pairs, and where x
    stands still. Shape (n, pairs)."""
    now, then, out = np.empty(x.shape), np.empty(x.shape), np.empty(x.shape)
    lagged_pairs(x, seg_age, 1, now, then)
    _half_lives(now, then, seg_age, window, need, out)
    return out
