"""Correlation of two whole series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]


@kernel
def correlation_of(x: F8, i: int, j: int) -> float:
    """Correlation of columns i and j over the rows where both are valid, from distances to their means; NaN for fewer
    than two rows and where either does not move."""
    count, first, second = 0.0, 0.0, 0.0
    for r in range(len(x)):
        a, b = x[r, i], x[r, j]
        both = (a == a) & (b == b)
        count += 1.0 if both else 0.0
        first += a if both else 0.0
        second += b if both else 0.0
    first, second = first / count, second / count
    aa, bb, ab = 0.0, 0.0, 0.0
    for r in range(len(x)):
        a, b = x[r, i] - first, x[r, j] - second
        both = (a == a) & (b == b)
        aa += a * a if both else 0.0
        bb += b * b if both else 0.0
        ab += a * b if both else 0.0
    square = aa * bb
    value: float = ab / np.sqrt(square) if square > 0.0 else np.nan
    return value
