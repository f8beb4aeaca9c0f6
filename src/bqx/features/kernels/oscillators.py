"""Small means and ratios."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import divides
from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]


def mean_of_three(x: F8) -> F8:
    """Mean of the last three values, NaN unless all are valid. Shape (n, pairs)."""
    out = np.empty(x.shape)
    _mean_of_three(x, out)
    return out


@kernel
def _mean_of_three(x: F8, out: F8) -> None:
    n, p = x.shape
    for r in range(n):
        for j in range(p):
            out[r, j] = (x[r - 2, j] + x[r - 1, j] + x[r, j]) / 3.0 if r >= 2 else np.nan


def ratio(a: F8, b: F8) -> F8:
    """a / b for b >= 0, NaN where b is 0 within rounding. Shape (n, pairs)."""
    out = np.empty(a.shape)
    _ratio(a, b, out)
    return out


@kernel
def _ratio(a: F8, b: F8, out: F8) -> None:
    n, p = a.shape
    for r in range(n):
        for j in range(p):
            out[r, j] = a[r, j] / b[r, j] if divides(b[r, j], a[r, j]) else np.nan
