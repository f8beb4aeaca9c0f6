"""Autocorrelation of changes over windows that reach across closures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.autocorr import lagged_pairs
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.products import PRODUCT_ROWS, correlation_row, products_step
from bqx.features.kernels.sums import RESTART, equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def correlation_across_step(
    a: F8, b: F8, r: int, seg_age: int, window: int, need: int, state: F8, runs: tuple[F8, F8], lasts: tuple[F8, F8],
    out: F8, row: int,
) -> None:  # fmt: skip
    """As products.correlation_step, over the last `window` open minutes."""
    now = r % len(a)
    equal_run_step(a, now, runs[0], lasts[0])
    equal_run_step(b, now, runs[1], lasts[1])
    products_step(a, b, r, window, 0, seg_age % RESTART == 0, state)
    correlation_row(state, runs, float(need), out, row)


@kernel
def _across(a: F8, b: F8, seg_age: I4, window: int, need: int, out: F8) -> None:
    n, p = a.shape
    state = np.zeros((PRODUCT_ROWS, p))
    runs, lasts = (np.zeros(p), np.zeros(p)), (np.full(p, np.nan), np.full(p, np.nan))
    for r in range(n):
        correlation_across_step(a, b, r, seg_age[r], window, need, state, runs, lasts, out, r)


def correlations_across(a: F8, b: F8, seg_age: I4, window: int, need: int) -> F8:
    """Correlation of a and b, which are NaN in the same places, over the last `window` open minutes; NaN below `need`
    valid rows and where either side is flat. Shape (n, pairs)."""
    out = np.empty(a.shape)
    _across(a, b, seg_age, window, need, out)
    return out


def autocorrelation_across(x: F8, seg_age: I4, lag: int, window: int, need: int) -> F8:
    """Correlation of the last `window` pairs (x(t), x(t - lag)), both of a pair in one segment, over closures; NaN
    below `need` valid pairs and where either side is flat. `x` has no closure gaps. Shape (n, pairs)."""
    now, then, out = np.empty(x.shape), np.empty(x.shape), np.empty(x.shape)
    lagged_pairs(x, seg_age, lag, now, then)
    _across(now, then, seg_age, window, need, out)
    return out
