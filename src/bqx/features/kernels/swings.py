"""Confirmed swings: strict local maxima, known only when enough bars have followed (Williams 1995)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batches, kernel
from bqx.features.kernels.smooth import rebase_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def _take(x: F8, at: int, found: F8, half: int, value: F8, age: F8) -> None:
    """A swing found at row `at` replaces the last one, which else is a bar older."""
    for j in range(len(found)):
        new = found[j] > 0.0
        value[j] = x[at, j] if new else value[j]
        age[j] = float(half) if new else age[j] + 1.0


@kernel
def _emit(reach: int, value: F8, age: F8, out: tuple[F8, F8], row: int) -> None:
    for j in range(len(value)):
        known = age[j] <= reach
        out[0][row, j] = value[j] if known else np.nan
        out[1][row, j] = age[j] if known else np.nan


@batches(2)
def last_swing(
    out: tuple[F8, F8], x: F8, key: F8, top: F8, seg_age: I4, segment: I4, ends: F8, half: int, reach: int
) -> None:
    """x at the last swing, and bars since it; NaN where none lies within `reach` bars. Shapes (n, pairs).

    A swing is a bar whose `key` is larger than those of `half` bars on either side, all valid and in one segment; it
    counts from `half` bars later on. top : largest key of the last `half` rows, NaN unless all are valid and in one
    segment. For levels `ends` holds each segment's last one: a swing before a closure is counted from the new
    segment's zero; a stream without closure gaps passes an array of no rows.
    """
    n, p = x.shape
    value, age, found = np.full(p, np.nan), np.full(p, np.inf), np.empty(p)
    for r in range(n):
        if len(ends) and seg_age[r] == 0 and r > 0:
            rebase_step(ends, segment[r] - 1, value)
        if seg_age[r] >= 2 * half:
            at = r - half
            for j in range(p):
                before, after = top[at - 1, j], top[r, j]
                found[j] = 1.0 if (key[at, j] > before) & (key[at, j] > after) else 0.0
        else:
            found[:] = 0.0
        _take(x, r - half, found, half, value, age)
        _emit(reach, value, age, out, r)


@kernel
def swing_step(
    x: F8, key: F8, r: int, seg_age: int, half: int, reach: int, value: F8, age: F8, out: tuple[F8, F8], row: int
) -> None:
    """Bar r of :func:`last_swing` from rings (row k at k % len) of at least 2 half + 1 rows into row `row` of `out`.

    value, age : state (pairs,), at first NaN and inf; `smooth.rebase_step` carries `value` into a new segment.
    """
    cap, p = key.shape
    found = np.zeros(p)
    if seg_age >= 2 * half:
        for j in range(p):
            peak, strict = key[(r - half) % cap, j], True
            for k in range(r - 2 * half, r + 1):
                strict &= (k == r - half) | (key[k % cap, j] < peak)
            found[j] = 1.0 if strict else 0.0
    _take(x, (r - half) % cap, found, half, value, age)
    _emit(reach, value, age, out, row)
