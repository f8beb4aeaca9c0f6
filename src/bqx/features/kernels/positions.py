"""Sums over a window of values and their places, for fits, with nothing ever subtracted.

Every `period` bars of a segment an anchor is set. The window is then what lies before the anchor, from sums made
once backwards from it, and what has come since, from sums that grow. Places k are counted from the anchor and
values from the one at the anchor, which every window up to the next anchor holds: no digits are lost to drift, to
levels or to what has left the window. Rows without a value are counted by their places, in whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.splice import splice, stretches

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Levels = tuple[I4, F8]
"""Segment of each row and last level of each segment (`Streams.segment`, `Stream.ends`)."""

Z, ZZ, KZ, KKZ = range(4)
"""Rows of the sums of z = y - shift, z^2, k z and k^2 z."""
SUMS = 4
HOLES = 5
"""Rows of the sums of k^0 .. k^4 over rows without a value."""

State = tuple[F8, F8, F8, F8, F8, F8, F8, F8]
"""back (window, SUMS, pairs), front and total (SUMS, pairs), the same three of holes, shift (pairs,), and whether there
are holes behind the anchor and since."""


def with_past(y: F8, seg_age: I4, back: int, levels: Levels | None) -> Iterator[tuple[F8, int, slice]]:
    """Each segment with up to `back` rows before it, how many these are, and the segment's rows. Levels are counted
    from the segment's own zero, closure gaps removed; without `levels` there are no gaps."""
    for first, start, stop in stretches(seg_age, back):
        part = y[first:stop] if levels is None else splice(y, levels[0], levels[1], first, start, stop)
        yield part, start - first, slice(start, stop)


@kernel
def position_state(window: int, p: int) -> State:
    """State before the first row; it means nothing until an anchor is set."""
    sums = (np.zeros((window, SUMS, p)), np.zeros((SUMS, p)), np.zeros((SUMS, p)))
    holes = (np.zeros((window, HOLES, p)), np.zeros((HOLES, p)), np.zeros((HOLES, p)))
    return (sums[0], sums[1], sums[2], holes[0], holes[1], holes[2], np.full(p, np.nan), np.zeros(2))


@kernel
def put(x: F8, out: F8) -> None:
    """Copy of sums; slices assigned to slices cost seconds of compilation."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j]


@kernel
def clear(x: F8) -> None:
    """Sums set to 0."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = 0.0


@kernel
def _missing(y: F8, row: int) -> int:
    count = 0
    for j in range(y.shape[1]):
        count += 1 if y[row, j] != y[row, j] else 0
    return count


@kernel
def _set_shift(y: F8, r: int, first: int, shift: F8) -> None:
    """The latest value of rows first .. r, NaN without one."""
    cap, p = y.shape
    for j in range(p):
        shift[j] = y[r % cap, j]
    row, left = r - 1, _missing(y, r % cap)
    while left > 0 and row >= first:
        left = 0
        for j in range(p):
            shift[j] = shift[j] if shift[j] == shift[j] else y[row % cap, j]
            left += 1 if shift[j] != shift[j] else 0
        row -= 1


@kernel
def _add_hole(y: F8, row: int, absent: bool, k: float, before: F8, after: F8) -> None:
    """after = before + the powers of k in lanes without a value."""
    for j in range(y.shape[1]):
        m = 1.0 if absent or y[row, j] != y[row, j] else 0.0
        after[0, j] = before[0, j] + m
        after[1, j] = before[1, j] + m * k
        after[2, j] = before[2, j] + m * (k * k)
        after[3, j] = before[3, j] + m * (k * k * k)
        after[4, j] = before[4, j] + m * (k * k * k * k)


@kernel
def _anchor(y: F8, r: int, window: int, floor: int, state: State) -> None:
    """Set an anchor at row r: sums of the 1, 2, ... window - 1 rows before it; those before `floor` have no value."""
    back, front, _, holes_back, holes_front, holes, shift, flags = state
    cap, p = y.shape
    _set_shift(y, r, max(floor, r - window + 1), shift)
    clear(front)
    clear(holes_front)
    clear(holes)
    clear(back[0])
    clear(holes_back[0])
    flags[0], flags[1] = 0.0, 0.0
    for q in range(1, window):
        row, k, absent = (r - q) % cap, float(-q), r - q < floor
        if absent:
            put(back[q - 1], back[q])
        else:
            for j in range(p):
                z = y[row, j] - shift[j]
                z = z if z == z else 0.0
                back[q, Z, j] = back[q - 1, Z, j] + z
                back[q, KZ, j] = back[q - 1, KZ, j] + k * z
            for j in range(p):
                z = y[row, j] - shift[j]
                z = z if z == z else 0.0
                back[q, ZZ, j] = back[q - 1, ZZ, j] + z * z
                back[q, KKZ, j] = back[q - 1, KKZ, j] + (k * k) * z
        if absent or _missing(y, row) > 0:
            if flags[0] == 0.0:
                for i in range(1, q):
                    clear(holes_back[i])
            flags[0] = 1.0
        if flags[0] > 0.0:
            if absent or _missing(y, row) > 0:
                _add_hole(y, row, absent, k, holes_back[q - 1], holes_back[q])
            else:
                put(holes_back[q - 1], holes_back[q])


@kernel
def position_step(y: F8, r: int, age: int, window: int, period: int, floor: int, state: State) -> float:
    """Take row r of the ring `y` (row k at k % len(y), at least `window` rows) in, at `age` bars of its segment; the
    place k of row r is returned. `total` then covers rows r - window + 1 .. r, those before `floor` without a value,
    and `holes` their missing ones. period <= window."""
    back, front, total, holes_back, holes_front, holes, shift, flags = state
    d = age % period
    if d == 0:
        _anchor(y, r, window, floor, state)
    cap, p = y.shape
    row, k, q = r % cap, float(d), window - 1 - d
    for j in range(p):
        shift[j] = shift[j] if shift[j] == shift[j] else y[row, j]
    for j in range(p):
        z = y[row, j] - shift[j]
        z = z if z == z else 0.0
        one, two = front[Z, j] + z, front[ZZ, j] + z * z
        front[Z, j], front[ZZ, j] = one, two
        total[Z, j], total[ZZ, j] = one + back[q, Z, j], two + back[q, ZZ, j]
    for j in range(p):
        z = y[row, j] - shift[j]
        z = z if z == z else 0.0
        one, two = front[KZ, j] + k * z, front[KKZ, j] + (k * k) * z
        front[KZ, j], front[KKZ, j] = one, two
        total[KZ, j], total[KKZ, j] = one + back[q, KZ, j], two + back[q, KKZ, j]
    if _missing(y, row) > 0:
        flags[1] = 1.0
        _add_hole(y, row, False, k, holes_front, holes_front)
    if flags[0] > 0.0:
        for i in range(HOLES):
            for j in range(p):
                holes[i, j] = holes_front[i, j] + holes_back[q, i, j]
    elif flags[1] > 0.0:
        put(holes_front, holes)
    return k
