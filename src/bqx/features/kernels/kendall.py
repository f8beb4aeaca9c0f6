"""Kendall's tau-b between a series and time (Kendall 1938), in integers, so that any algorithm gives its bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.order import below, sort_order, sorted_places
from bqx.features.kernels.splice import splice, stretches

F8 = NDArray[np.float64]
I2 = NDArray[np.int16]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
U8 = NDArray[np.uint64]

GRAIN = 1e6
"""Values are compared as whole millionths: mids of other bids and asks, and levels brought over a closure, differ in
the last bit (1e-12 bps), ticks by 1e-3 bps."""
CHUNK = 8192
"""Rows whose values are sorted at once, together with the longest window before them."""


@kernel
def _tau(score: int, tied: int, count: int) -> float:
    """tau-b of `count` values: score = concordant - discordant pairs, tied = equal ones; time has no ties."""
    pairs = count * (count - 1) // 2
    value: float = score / np.sqrt(float(pairs) * float(pairs - tied)) if tied < pairs else np.nan
    return value


@kernel
def _shift(before: I2, by: int) -> None:
    for k in range(len(before)):
        before[k] += np.int16(by)


@kernel
def _lane(
    values: F8, places: tuple[I4, I4, I4], ages: I4, skip: int, window: int, need: int, inside: bool,
    words: U8, before: I2, out: F8, lane: int,
) -> None:  # fmt: skip
    """Taus of rows skip .. of one lane into out[:, lane]; a window is a set of places in the sorted order."""
    place, low, high = places
    words[:], before[:] = np.uint64(0), np.int16(0)
    score, tied, count = 0, 0, 0
    one = np.uint64(1)
    begin = max(0, skip - window + 1)
    for r in range(begin, len(values)):
        old = r - window
        if old >= begin and values[old] == values[old]:
            at, less = place[old], below(words, before, low[old])
            equal = below(words, before, high[old]) - less if high[old] - low[old] > 1 else 1
            score -= (count - less - equal) - less
            tied -= equal - 1
            count -= 1
            words[at >> 6] &= ~(one << np.uint64(at & 63))
            _shift(before[(at >> 6) + 1 :], -1)
        if values[r] == values[r]:
            at, less = place[r], below(words, before, low[r])
            equal = below(words, before, high[r]) - less if high[r] - low[r] > 1 else 0
            score += less - (count - less - equal)
            tied += equal
            count += 1
            words[at >> 6] |= one << np.uint64(at & 63)
            _shift(before[(at >> 6) + 1 :], 1)
        if r >= skip:
            k = r - skip
            whole = not inside or ages[k] >= window - 1
            out[k, lane] = _tau(score, tied, count) if count >= need and whole else np.nan


@kernel
def _chunk(
    x: F8, order: I4, ages: I4, skip: int, windows: I8, needs: I8, inside: NDArray[np.bool_], out: F8
) -> None:  # fmt: skip
    """Taus of rows skip .. of the lanes of `x` (pairs, rows) into out (windows, rows, pairs)."""
    p, m = x.shape
    words, before = np.zeros((m >> 6) + 1, dtype=np.uint64), np.zeros((m >> 6) + 1, dtype=np.int16)
    places = (np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m, np.int32))
    for j in range(p):
        sorted_places(x[j], order[j], places)
        for k in range(len(windows)):
            _lane(x[j], places, ages, skip, windows[k], needs[k], inside[k], words, before, out[k], j)


def kendall_taus(
    y: F8, seg_age: I4, segment: I4, ends: F8, windows: Sequence[int], needs: Sequence[int], inside: Sequence[bool]
) -> F8:
    """tau-b of the last w levels against time for each window w; NaN below `need` valid values and where all are equal.

    A window that is `inside` lies in the segment; others reach over closures, whose gaps are removed (`splice`).
    Shape (windows, n, pairs).
    """
    out = np.empty((len(windows), *y.shape))
    back = max((w - 1 for w, seg in zip(windows, inside, strict=True) if not seg), default=0)
    settings = (np.array(windows, dtype=np.int64), np.array(needs, dtype=np.int64), np.array(inside, dtype=np.bool_))
    for first, start, stop in stretches(seg_age, back):
        levels = np.rint(splice(y, segment, ends, first, start, stop) * GRAIN)
        for begin in range(start, stop, CHUNK):
            low, end = max(first, begin - max(windows) + 1), min(begin + CHUNK, stop)
            lanes: F8 = np.ascontiguousarray(levels[low - first : end - first].T)
            _chunk(lanes, sort_order(lanes), seg_age[begin:end], begin - low, *settings, out[:, begin:end])
    return out


@kernel
def _against(x: F8, lane: int, first: int, stop: int, value: float) -> tuple[int, int]:
    """Rows first .. stop - 1 of a lane of the ring below `value` less those above it, and those equal to it."""
    score, equal = 0, 0
    for k in range(first, stop):
        v = np.rint(x[k % len(x), lane] * GRAIN)
        score += (1 if v < value else 0) - (1 if v > value else 0)
        equal += 1 if v == value else 0
    return score, equal


@kernel
def tau_step(
    x: F8, r: int, window: int, floor: int, restart: bool, need: int, state: I8, out: F8, row: int
) -> None:  # fmt: skip
    """tau-b of rows max(r - window + 1, floor) .. r of the ring `x` (row k at k % len(x), len(x) > window) into
    out[row]. state (3, pairs): score, tied pairs, values of rows up to r - 1; counted anew on `restart`."""
    first = max(r - window + 1, floor)
    for j in range(x.shape[1]):
        if restart:
            state[:, j] = 0
        elif first > floor:
            value = np.rint(x[(first - 1) % len(x), j] * GRAIN)
            if value == value:
                score, equal = _against(x, j, first, r, value)
                state[0, j] += score
                state[1, j] -= equal
                state[2, j] -= 1
        for k in range(first if restart else r, r + 1):
            value = np.rint(x[k % len(x), j] * GRAIN)
            if value == value:
                score, equal = _against(x, j, first, k, value)
                state[0, j] += score
                state[1, j] += equal
                state[2, j] += 1
        count = state[2, j]
        out[row, j] = _tau(state[0, j], state[1, j], count) if count >= need else np.nan
