"""Largest and smallest of the previous W values, exact, so that any algorithm gives the same bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batches

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@batches(2)
def previous_extremes(out: tuple[F8, F8], x: F8, seg_age: I4, window: int, need: int) -> None:
    """Maximum and minimum of the valid values among rows r - W .. r - 1; NaN unless rows r - W .. r lie in one
    segment and at least `need` values are valid. Shapes (n, pairs).

    Blocks of W rows with running extremes from both ends (van Herk 1992): three comparisons a value.
    """
    n, p = x.shape
    high, low = out
    high[:], low[:] = np.nan, np.nan
    tail_high, tail_low = np.empty((window, p)), np.empty((window, p))
    tail_count = np.empty((window, p), dtype=np.int64)
    head_high, head_low = np.empty(p), np.empty(p)
    head_count = np.empty(p, dtype=np.int64)
    for begin in range(0, n, window):
        # tails: extremes of rows k .. end of the block before `begin`
        for back in range(1, window + 1):
            k = begin - back
            slot = window - back
            for j in range(p):
                hi = tail_high[slot + 1, j] if back > 1 else -np.inf
                lo = tail_low[slot + 1, j] if back > 1 else np.inf
                count = tail_count[slot + 1, j] if back > 1 else 0
                if k >= 0 and x[k, j] == x[k, j]:
                    hi, lo, count = max(hi, x[k, j]), min(lo, x[k, j]), count + 1
                tail_high[slot, j], tail_low[slot, j], tail_count[slot, j] = hi, lo, count
        head_high[:], head_low[:], head_count[:] = -np.inf, np.inf, 0
        for r in range(begin, min(begin + window, n)):
            slot = r - begin  # rows begin - W + slot .. begin - 1 are the tail, begin .. r - 1 the head
            if seg_age[r] >= window:
                for j in range(p):
                    if tail_count[slot, j] + head_count[j] >= need:
                        high[r, j] = max(tail_high[slot, j], head_high[j])
                        low[r, j] = min(tail_low[slot, j], head_low[j])
            for j in range(p):
                v = x[r, j]
                if v == v:
                    head_high[j], head_low[j] = max(head_high[j], v), min(head_low[j], v)
                    head_count[j] += 1
