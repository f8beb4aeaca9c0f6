"""Bars since something happened: ages stop at a cap, and wait where there is no value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


@kernel
def side_step(a: F8, b: F8, row: int, tie: float, cap: int, count: I8, side: I8, age: I8) -> None:
    """Take one row in: bars since the sign of a - b (0 within `tie`) was another. NaN lanes hold."""
    for j in range(len(age)):
        gap = a[row, j] - b[row, j]
        valid = gap == gap
        sign = 1 if gap > tie else -1 if gap < -tie else 0
        older = min(age[j] + 1, cap)
        older = older if (sign == side[j]) & (count[j] > 0) else 0
        age[j] = older if valid else age[j]
        side[j] = sign if valid else side[j]
        count[j] += 1 if valid else 0


@kernel
def event_step(x: F8, row: int, limit: float, cap: int, count: I8, age: I8) -> None:
    """Take one row in: bars since |x| was above `limit`. NaN lanes hold."""
    for j in range(len(age)):
        v = x[row, j]
        valid = v == v
        older = min(age[j] + 1, cap)
        older = 0 if abs(v) > limit else older
        age[j] = older if valid else age[j]
        count[j] += 1 if valid else 0


def side_age(a: F8, b: F8, seg_age: I4, tie: float, cap: int, burn: int) -> F8:
    """Valid bars since the sign of a - b changed, at most `cap`; NaN where either is and before cap + 1 values.

    The trajectory of a segment starts `burn` open minutes before it. Shape (n, pairs).
    """
    out = np.empty(a.shape)
    _side_age(a, b, seg_age, tie, cap, burn, out)
    return out


@kernel
def _side_age(a: F8, b: F8, seg_age: I4, tie: float, cap: int, burn: int, out: F8) -> None:
    n, p = a.shape
    count, side, age = np.zeros(p, dtype=np.int64), np.zeros(p, dtype=np.int64), np.zeros(p, dtype=np.int64)
    for r in range(n):
        if seg_age[r] == 0:
            count[:], side[:], age[:] = 0, 0, 0
            for k in range(max(0, r - burn), r):
                side_step(a, b, k, tie, cap, count, side, age)
        side_step(a, b, r, tie, cap, count, side, age)
        for j in range(p):
            gap = a[r, j] - b[r, j]
            out[r, j] = float(age[j]) if (gap == gap) & (count[j] > cap) else np.nan


def event_age(x: F8, seg_age: I4, limit: float, cap: int, burn: int) -> F8:
    """Valid bars since |x| was above `limit`, at most `cap`; NaN where x is and before cap + 1 values.

    The trajectory of a segment starts `burn` open minutes before it. Shape (n, pairs).
    """
    out = np.empty(x.shape)
    _event_age(x, seg_age, limit, cap, burn, out)
    return out


@kernel
def _event_age(x: F8, seg_age: I4, limit: float, cap: int, burn: int, out: F8) -> None:
    n, p = x.shape
    count, age = np.zeros(p, dtype=np.int64), np.full(p, cap, dtype=np.int64)
    for r in range(n):
        if seg_age[r] == 0:
            count[:], age[:] = 0, cap
            for k in range(max(0, r - burn), r):
                event_step(x, k, limit, cap, count, age)
        event_step(x, r, limit, cap, count, age)
        for j in range(p):
            v = x[r, j]
            out[r, j] = float(age[j]) if (v == v) & (count[j] > cap) else np.nan
