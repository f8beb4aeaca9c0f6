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
    # row k of a tail: extremes and count of the block's rows from its k-th on; the last row is of none
    tail_high, tail_low = np.full((window + 1, p), -np.inf), np.full((window + 1, p), np.inf)
    tail_count = np.zeros((window + 1, p))
    head_high, head_low, head_count = np.empty(p), np.empty(p), np.empty(p)
    for begin in range(0, n, window):
        for slot in range(window - 1, -1, -1):
            k = begin - window + slot
            for j in range(p):
                v = x[k, j] if k >= 0 else np.nan
                valid = v == v
                above, below = (v, v) if valid else (-np.inf, np.inf)
                tail_high[slot, j] = above if above > tail_high[slot + 1, j] else tail_high[slot + 1, j]
                tail_low[slot, j] = below if below < tail_low[slot + 1, j] else tail_low[slot + 1, j]
                tail_count[slot, j] = tail_count[slot + 1, j] + (1.0 if valid else 0.0)
        for j in range(p):
            head_high[j], head_low[j], head_count[j] = -np.inf, np.inf, 0.0
        for r in range(begin, min(begin + window, n)):
            slot = r - begin  # rows begin - W + slot .. begin - 1 are the tail, begin .. r - 1 the head
            if seg_age[r] >= window:
                for j in range(p):
                    enough = tail_count[slot, j] + head_count[j] >= need
                    above = head_high[j] if head_high[j] > tail_high[slot, j] else tail_high[slot, j]
                    below = head_low[j] if head_low[j] < tail_low[slot, j] else tail_low[slot, j]
                    high[r, j] = above if enough else np.nan
                    low[r, j] = below if enough else np.nan
            for j in range(p):
                v = x[r, j]
                valid = v == v
                above, below = (v, v) if valid else (-np.inf, np.inf)
                head_high[j] = above if above > head_high[j] else head_high[j]
                head_low[j] = below if below < head_low[j] else head_low[j]
                head_count[j] += 1.0 if valid else 0.0
