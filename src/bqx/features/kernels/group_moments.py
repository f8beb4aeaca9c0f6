"""Mean and deviation across the members of each lane's group, at one bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batches, kernel

F8 = NDArray[np.float64]
I1 = NDArray[np.int8]
I8 = NDArray[np.int64]

Lists = tuple[I8, F8]
"""Lane and sign of each lane's members, shapes (lanes, members); lane -1 where the group is not whole."""


def member_lists(signs: I1, whole: NDArray[np.bool_]) -> Lists:
    """From a matrix of +1, -1 and 0 (lanes, lanes); groups that are whole have one size."""
    size = int((signs != 0).sum(axis=1).max(initial=0))
    lanes, sign = np.full((len(signs), size), -1, dtype=np.int64), np.zeros((len(signs), size))
    for j in np.flatnonzero(whole):
        lanes[j] = np.flatnonzero(signs[j])
        sign[j] = signs[j, lanes[j]]
    return lanes, sign


@kernel
def group_moments_row(x: F8, row: int, lists: Lists, out: tuple[F8, F8], at: int) -> None:
    """Of row `row` of x into row `at` of mean and sample deviation; see :func:`group_moments`."""
    lanes, sign = lists
    size = lanes.shape[1]
    for j in range(len(lanes)):
        mean, squares = np.nan, np.nan
        if size > 0 and lanes[j, 0] >= 0:
            mean, squares = 0.0, 0.0
            for k in range(size):
                mean += sign[j, k] * x[row, lanes[j, k]]
            mean /= size
            for k in range(size):
                d = sign[j, k] * x[row, lanes[j, k]] - mean
                squares += d * d
        out[0][at, j] = mean
        out[1][at, j] = np.sqrt(squares / (size - 1.0))


@batches(2)
def group_moments(out: tuple[F8, F8], x: F8, lists: Lists) -> None:
    """Mean and sample deviation (Bessel) of sign times x over the members of each lane's group, added in their order;
    NaN when a member is NaN or the group is not whole. Shapes (n, lanes)."""
    for r in range(len(x)):
        group_moments_row(x, r, lists, out, r)
