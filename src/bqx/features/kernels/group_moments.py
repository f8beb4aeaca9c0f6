"""Mean and deviation across the members of each lane's group, at one bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batches, kernel

F8 = NDArray[np.float64]
I1 = NDArray[np.int8]


@kernel
def group_moments_row(x: F8, row: int, signs: I1, whole: NDArray[np.bool_], out: tuple[F8, F8], at: int) -> None:
    """Of row `row` of x into row `at` of mean and sample deviation; see :func:`group_moments`."""
    p = x.shape[1]
    for j in range(p):
        total, count = 0.0, 0.0
        for k in range(p):
            if signs[j, k] != 0:
                total += signs[j, k] * x[row, k]
                count += 1.0
        mean = total / count if whole[j] else np.nan
        squares = 0.0
        for k in range(p):
            if signs[j, k] != 0:
                d = signs[j, k] * x[row, k] - mean
                squares += d * d
        out[0][at, j] = mean
        out[1][at, j] = np.sqrt(squares / (count - 1.0))


@batches(2)
def group_moments(out: tuple[F8, F8], x: F8, signs: I1, whole: NDArray[np.bool_]) -> None:
    """Mean and sample deviation (Bessel) of sign times x over the members of each lane's group, added in the order of
    lanes; NaN when a member is NaN or the group is not `whole`. signs : +1, -1, 0 for others (lanes, lanes). Shapes
    (n, lanes)."""
    for r in range(len(x)):
        group_moments_row(x, r, signs, whole, out, r)
