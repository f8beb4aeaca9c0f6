"""Percentile rank of a value among the last W, counted in integers, so that any algorithm gives the same bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
U8 = NDArray[np.uint64]

CHUNK = 4096
"""Rows whose values are sorted at once, together with the window before them; two windows where that is more."""
BLOCK = 16
"""Words of 64 places in a block."""


@kernel
def ones(word: np.uint64) -> int:
    """Bits set in a word (Warren 2003)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def _below(words: U8, in_word: I4, in_block: I4, place: int) -> int:
    """Places taken below `place`."""
    total, word = 0, place >> 6
    for k in range(word // BLOCK):
        total += in_block[k]
    for k in range(word // BLOCK * BLOCK, word):
        total += in_word[k]
    mask = (np.uint64(1) << np.uint64(place & 63)) - np.uint64(1)
    return total + ones(words[word] & mask)


@kernel
def sorted_places(values: F4 | F8, order: I8, places: tuple[I4, I4, I4]) -> None:
    """Fill, for each value, its place in `order` and the first place and the end of those equal to it; NaN last."""
    place, low, high = places
    m, start = len(values), 0
    for k in range(1, m + 1):
        if k == m or values[order[k]] != values[order[start]]:
            for i in range(start, k):
                at = order[i]
                place[at], low[at], high[at] = i, start, k
            start = k


@kernel
def _rank_chunk(x: F4 | F8, order: I8, skip: int, window: int, need: int, out: F8, begin: int) -> None:
    """Ranks of rows skip .. of the lanes of `x` (pairs, rows) into out[begin:]; `order` sorts each lane, NaN last."""
    p, m = x.shape
    size = (m >> 6) + 1
    words, in_word = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.int32)
    in_block = np.zeros(size // BLOCK + 1, dtype=np.int32)
    places = (np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m, np.int32))
    place, low, high = places
    for j in range(p):
        words[:], in_word[:], in_block[:] = 0, 0, 0
        sorted_places(x[j], order[j], places)
        count = 0
        for r in range(m):
            old = r - window
            if old >= 0 and x[j, old] == x[j, old]:
                at = place[old]
                words[at >> 6] &= ~(np.uint64(1) << np.uint64(at & 63))
                in_word[at >> 6] -= 1
                in_block[(at >> 6) // BLOCK] -= 1
                count -= 1
            valid = x[j, r] == x[j, r]
            if valid:
                at = place[r]
                words[at >> 6] |= np.uint64(1) << np.uint64(at & 63)
                in_word[at >> 6] += 1
                in_block[(at >> 6) // BLOCK] += 1
                count += 1
            if r >= skip:
                rank = np.nan
                if valid and count >= need:
                    less = _below(words, in_word, in_block, low[r])
                    many = high[r] - low[r] > 1
                    equal = _below(words, in_word, in_block, high[r]) - less if many else 1
                    rank = (2 * less + equal) / (2 * count)
                out[begin + r - skip, j] = rank


def sort_order(lanes: F4 | F8) -> I8:
    """Columns of each lane in ascending order of their values, NaN last; which of equal values comes first does not
    matter. Shape (pairs, rows)."""
    filled = np.where(lanes == lanes, lanes, np.inf)  # numpy sorts infinities fast and NaN slowly
    if filled.dtype != np.float32:
        return np.argsort(filled, axis=1)
    # a float's bits as an integer of the same order, its column below: sorting numbers is twice as fast as their places
    bits = filled.view(np.int32)
    keys = (bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))).astype(np.int64)
    keys <<= 32
    keys |= np.arange(lanes.shape[1])
    keys.sort(axis=1)
    keys &= 0xFFFFFFFF
    return keys


def percentile_rank(x: F4 | F8, window: int, need: int) -> F8:
    """(number below + half the number equal) / n among the valid values of the last `window` rows, x(t) included; NaN
    where x is or below `need` of them. Shape (n, pairs). Pass float32 where values that differ by rounding only are to
    be equal.

    A chunk is sorted once; a window is then a set of places in that order, counted by blocks, words and bits.
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
