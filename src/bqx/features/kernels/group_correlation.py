"""A lane's mean correlation with the members of its groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batches, kernel
from bqx.features.kernels.pair_sums import Sums, pair_correlations, pair_number, pair_sums, pair_sums_step

F8 = NDArray[np.float64]
I1 = NDArray[np.int8]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

Groups = tuple[I8, F8, I8]
"""Each lane's members one after another: pair numbers (lanes, most), signs (lanes, most), how many (lanes,), 0 for a
lane whose group is not whole."""


@kernel
def groups_of(signs: I1, whole: NDArray[np.bool_]) -> Groups:
    """From a matrix of +1, -1 and 0 (lanes, lanes) and which lanes have all their members."""
    p = len(signs)
    number, sign, size = np.zeros((p, p), np.int64), np.zeros((p, p)), np.zeros(p, np.int64)
    for j in range(p):
        for k in range(p):
            if signs[j, k] != 0 and whole[j]:
                at = size[j]
                number[j, at] = pair_number(min(j, k), max(j, k), p)
                sign[j, at] = signs[j, k]
                size[j] += 1
    return number, sign, size


@kernel
def group_row(correlations: F8, groups: Groups, size_only: bool, out: F8, row: int) -> None:
    """Mean over each lane's members, of absolute values if `size_only`, added in the order of lanes; NaN when one of
    them is."""
    number, sign, size = groups
    for j in range(len(size)):
        total = 0.0
        for k in range(size[j]):
            c = correlations[number[j, k]]
            total += abs(c) if size_only else sign[j, k] * c
        out[row, j] = total / size[j] if size[j] > 0 else np.nan


@kernel
def group_step(
    x: F8, r: int, seg_age: int, window: int, need: int, groups: tuple[Groups, Groups, Groups], sums: Sums, held: F8,
    out: tuple[F8, F8, F8], row: int,
) -> None:  # fmt: skip
    """Take bar r of the ring `x` in and emit the means of three groups, of the third in size, into row `row`. held :
    room for a correlation a pair of lanes."""
    pair_sums_step(x, r, seg_age, window, sums)
    pair_correlations(sums, seg_age, window, float(need), held)
    group_row(held, groups[0], False, out[0], row)
    group_row(held, groups[1], False, out[1], row)
    group_row(held, groups[2], True, out[2], row)


@batches(3)
def group_correlations(
    out: tuple[F8, F8, F8], x: F8, seg_age: I4, window: int, need: int, groups: tuple[Groups, Groups, Groups]
) -> None:
    """:func:`group_step` over all bars. Shapes (n, lanes); lanes in the order in which members are to be added."""
    n, p = x.shape
    sums, held = pair_sums(p), np.empty(p * (p - 1) // 2)
    for r in range(n):
        group_step(x, r, seg_age[r], window, need, groups, sums, held, out, r)
