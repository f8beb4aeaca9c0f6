"""The weight of one among several."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import exp

F8 = NDArray[np.float64]


def first_weight(first: F8, others: tuple[F8, F8, F8]) -> F8:
    """e^first over the sum of e^x of it and three others, NaN where one of them is. Shape (n, pairs)."""
    out = np.empty(first.shape)
    _first_weight(first, others, out)
    return out


@kernel
def _first_weight(first: F8, others: tuple[F8, F8, F8], out: F8) -> None:
    n, p = first.shape
    for r in range(n):
        for j in range(p):
            a = first[r, j]
            rest = exp(others[0][r, j] - a) + exp(others[1][r, j] - a) + exp(others[2][r, j] - a)
            out[r, j] = 1.0 / (1.0 + rest)
