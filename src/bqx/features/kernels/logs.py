"""Natural logarithm of an array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch
from bqx.features.kernels.mathfun import log_ratio

F8 = NDArray[np.float64]


@batch
def logarithm(out: F8, x: F8) -> None:
    """ln x, NaN unless x > 0. Shape (n, pairs)."""
    n, p = x.shape
    for r in range(n):
        for j in range(p):
            v = x[r, j]
            positive = v > 0.0
            y = log_ratio(v if positive else 1.0, 1.0)
            out[r, j] = y if positive else np.nan
