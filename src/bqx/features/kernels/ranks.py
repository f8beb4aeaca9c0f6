"""Percentile rank of a value among the last W, counted in integers, so that any algorithm gives the same bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.order import below, sort_order, sorted_places

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

CHUNK = 4096
"""Rows whose values are sorted at once, together with the window before them; two windows where that is more."""


@kernel
def _add(before: I4, by: int) -> None:
    for k in range(len(before)):
        before[k] += np.int32(by)


@kernel
def _rank_chunk(x: F4 | F8, order: I4, skip: int, window: int, need: int, out: F8, begin: int) -> None:
    """Ranks of rows skip .. of the lanes of `x` (pairs, rows) into out[begin:]; `order` sorts each lane, NaN last."""
    p, m = x.shape
    size, one = (m >> 6) + 1, np.uint64(1)
    words, before = np.zeros(size, dtype=np.uint64), np.zeros(size + 1, dtype=np.int32)
    places = (np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m, np.int32))
    place, low, high = places
    for j in range(p):
        words[:], before[:] = np.uint64(0), np.int32(0)
        sorted_places(x[j], order[j], places)
        count = 0
        for r in range(m):
            old = r - window
            # words between the one that is left and the one that is taken count one more or one less before them
            left, taken = size, size
            if old >= 0 and x[j, old] == x[j, old]:
                at = place[old]
                left = at >> 6
                words[left] &= ~(one << np.uint64(at & 63))
                count -= 1
            valid = x[j, r] == x[j, r]
            if valid:
                at = place[r]
                taken = at >> 6
                words[taken] |= one << np.uint64(at & 63)
                count += 1
            if left < taken:
                _add(before[left + 1 : taken + 1], -1)
            elif taken < left:
                _add(before[taken + 1 : left + 1], 1)
            if r >= skip:
                rank = np.nan
                if valid and count >= need:
                    less = below(words, before, low[r])
                    many = high[r] - low[r] > 1
                    equal = below(words, before, high[r]) - less if many else 1
                    rank = (2 * less + equal) / (2 * count)
                out[begin + r - skip, j] = rank


def percentile_rank(x: F4 | F8, window: int, need: int) -> F8:
    """(number below + half the number equal) / n among the valid values of the last `window` rows, x(t) included; NaN
    where x is or below `need` of them. Shape (n, pairs). Pass float32 where values that differ by rounding only are to
    be equal.

    A chunk is sorted once; a window is then a set of places in that order, counted by words and bits.
    """
    n, p = x.shape
    out = np.empty((n, p))
    chunk = max(CHUNK, 2 * window)
    for begin in range(0, n, chunk):
        first, end = max(0, begin - window + 1), min(begin + chunk, n)
        lanes: F8 = np.ascontiguousarray(x[first:end].T)
        _rank_chunk(lanes, sort_order(lanes), begin - first, window, need, out, begin)
    return out


@kernel
def rank_step(x: F4 | F8, r: int, window: int, need: int, out: F8, row: int) -> None:
    """The rank at bar r of the ring `x` (row k at k % len(x)) into out[row], by counting the whole window."""
    cap, p = x.shape
    first = max(0, r - window + 1)
    for j in range(p):
        value = x[r % cap, j]
        less, equal, count = 0, 0, 0
        for k in range(first, r + 1):
            v = x[k % cap, j]
            less += 1 if v < value else 0
            equal += 1 if v == value else 0
            count += 1 if v == v else 0
        ok = value == value and count >= need
        out[row, j] = (2 * less + equal) / (2 * count) if ok else np.nan
