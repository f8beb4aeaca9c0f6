"""The common factor of a panel and what it leaves of each lane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.products import AB, BB, COUNT, PRODUCT_ROWS, A, B, products_step
from bqx.features.kernels.sums import RESTART, equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@batch
def factor(out: F8, x: F8, weight: F8, least: int) -> None:
    """sum of weight x / sum of weight^2 over the lanes that have both, of which there must be `least`; NaN in lanes
    without x. With unit weights of all lanes this is sum of weight x. weight : rows of x. Shapes (n, lanes)."""
    n, p = x.shape
    for r in range(n):
        total, norm, count = 0.0, 0.0, 0
        for j in range(p):
            v = weight[r, j] * x[r, j]
            ok = v == v
            total += v if ok else 0.0
            norm += weight[r, j] * weight[r, j] if ok else 0.0
            count += 1 if ok else 0
        value = total / norm if count >= least and norm > 0.0 else np.nan
        for j in range(p):
            out[r, j] = value if x[r, j] == x[r, j] else np.nan


@kernel
def slope_row(
    y: F8, x: F8, r: int, seg_age: int, window: int, need: int, state: F8, runs: tuple[F8, F8], out: F8, row: int
) -> None:
    """Take bar r of the rings in and write the slope into out[row]; see :func:`slopes_across`. runs : of x, as in
    `equal_run_step`."""
    cap, p = x.shape
    equal_run_step(x, r % cap, runs[0], runs[1])
    products_step(y, x, r, window, 0, seg_age % RESTART == 0, state)
    for j in range(p):
        n = state[COUNT, j]
        u, v = state[A, j] + state[A + 1, j], state[B, j] + state[B + 1, j]
        spread = n * (state[BB, j] + state[BB + 1, j]) - v * v
        joint = n * (state[AB, j] + state[AB + 1, j]) - u * v
        ok = (n >= need) & (runs[0][j] < n) & (spread > (TINY * n) * (TINY * n))
        out[row, j] = joint / spread if ok else np.nan


@batch
def slopes_across(out: F8, y: F8, x: F8, seg_age: I4, window: int, need: int) -> None:
    """Least-squares slope, with a constant, of y on x over the last `window` open minutes; NaN below `need` values and
    where x does not vary. y and x are NaN in the same places. Shapes (n, lanes)."""
    n, p = x.shape
    state = np.zeros((PRODUCT_ROWS, p))
    runs = (np.zeros(p), np.full(p, np.nan))
    for r in range(n):
        slope_row(y, x, r, seg_age[r], window, need, state, runs, out, r)
