"""Backward momentum: the mean of the previous W closes against the price now."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, batches, kernel
from bqx.features.kernels.sums import (
    COUNT,
    RESTART,
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
def momentum_step(
    close: F8,
    r: int,
    seg_age: int,
    window: int,
    need: int,
    state: F8,
    run: F8,
    last: F8,
    out: tuple[F8, F8, F8],
    row: int,
) -> None:
    """Emit into row `row` for bar r from the W closes before it, then take bar r in.

    out : shift, excess and deviation. shift + excess is the mean of those closes (kept apart, so that mean - price
    loses no digits), deviation their sample standard deviation; NaN unless all of r - W .. r lie in one segment and at
    least `need` of the W are valid. The deviation of W equal closes is exactly 0. run, last : the run of equal closes
    that ends before bar r, and their value.
    """
    shift, excess, deviation = out
    inside = seg_age >= window
    least = float(need) if inside else np.inf
    for j in range(close.shape[1]):
        ok = state[COUNT, j] >= least
        shift[row, j] = state[SHIFT, j] if ok else np.nan
        excess[row, j] = first_moment(state, j) if ok else np.nan
        spread = np.sqrt(sample_variance(state, j))
        spread = 0.0 if run[j] >= state[COUNT, j] else spread
        deviation[row, j] = spread if ok else np.nan
    if seg_age == 0:
        for k in range(STATE_ROWS):
            for j in range(close.shape[1]):
                state[k, j] = 0.0
    sums_step(close, r, window, r - seg_age, seg_age % RESTART == 0, state)
    equal_run_step(close, r % len(close), run, last)


@batches(3)
def previous_closes(out: tuple[F8, F8, F8], close: F8, seg_age: I4, window: int, need: int) -> None:
    """shift, excess and deviation of :func:`momentum_step` at every bar. Shapes (n, pairs)."""
    n, p = close.shape
    state = np.zeros((STATE_ROWS, p))
    run, last = np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        momentum_step(close, r, seg_age[r], window, need, state, run, last, out, r)


@batch
def momentum(out: F8, shift: F8, excess: F8, price: F8, factor: float) -> None:
    """factor * (mean of the previous closes / price - 1). Shape (n, pairs)."""
    n, p = price.shape
    for r in range(n):
        for j in range(p):
            x = price[r, j]
            out[r, j] = factor * (((shift[r, j] - x) + excess[r, j]) / x)
