"""Which value of a lane comes where when it is sorted, and counting places that are taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
U8 = NDArray[np.uint64]

DIGIT = 11
"""Bits of a digit: a table of 2,048 counts stays in the fastest cache."""
LARGEST = (1 << 32) - 1


@kernel
def ones(word: np.uint64) -> int:
    """Bits set in a word (Warren 2003)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def below(words: U8, before: NDArray[np.signedinteger], place: int) -> int:
    """Places taken below `place`, a bit each; before[k] counts those in words 0 .. k - 1."""
    word = place >> 6
    mask = (np.uint64(1) << np.uint64(place & 63)) - np.uint64(1)
    return int(before[word]) + ones(words[word] & mask)


@kernel
def sorted_places(values: F4 | F8, order: I4, places: tuple[I4, I4, I4]) -> None:
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
def _radix(keys: U8, spare: U8, order: I4) -> None:
    """Sort words by their upper halves, digit by digit from the lowest (Knuth 1973, 5.2.5); the lower halves of the
    sorted words into `order`. Costs a third of numpy's sort where that uses AVX-512 on Zen 4, which stores slowly."""
    m, digits = len(keys), 1 << DIGIT
    count = np.empty(digits, np.int64)
    largest = np.uint64(0)
    for k in range(m):
        largest = max(largest, keys[k])
    source, to = keys, spare
    shift = 32
    while shift < 64 and largest >> np.uint64(shift) != np.uint64(0):
        count[:] = 0
        for k in range(m):
            count[(source[k] >> np.uint64(shift)) & np.uint64(digits - 1)] += 1
        total = 0
        for d in range(digits):
            total, count[d] = total + count[d], total
        for k in range(m):
            digit = (source[k] >> np.uint64(shift)) & np.uint64(digits - 1)
            to[count[digit]] = source[k]
            count[digit] += 1
        source, to = to, source
        shift += DIGIT
    for k in range(m):
        order[k] = np.int32(source[k] & np.uint64(0xFFFFFFFF))


@kernel
def _radix_lanes(keys: U8, order: I4) -> None:
    spare = np.empty(keys.shape[1], np.uint64)
    for j in range(len(keys)):
        _radix(keys[j], spare, order[j])


def sort_order(lanes: F4 | F8) -> I4:
    """Columns of each lane in ascending order of their values, NaN last; which of equal values comes first does not
    matter. float64 holds whole numbers, or is sorted by numpy. Shape (pairs, rows)."""
    if lanes.dtype == np.float32:
        # a float's bits as an integer of the same order
        bits = np.where(lanes == lanes, lanes, np.float32(np.inf)).view(np.int32)
        keys = ((bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))).view(np.uint32) ^ np.uint32(1 << 31)).astype(np.uint64)
        keys -= keys.min(axis=1, keepdims=True, initial=LARGEST)
    else:
        low = np.nanmin(lanes, axis=1, keepdims=True, initial=np.inf)
        with np.errstate(invalid="ignore"):  # of two infinities
            away = lanes - low
        if not ((lanes != lanes) | ((away < LARGEST) & (away == np.rint(away)))).all():
            return np.argsort(np.where(lanes == lanes, lanes, np.inf), axis=1).astype(np.int32)
        keys = np.where(lanes == lanes, away, LARGEST).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(lanes.shape[1], dtype=np.uint64)
    order = np.empty(lanes.shape, np.int32)
    _radix_lanes(keys, order)
    return order
