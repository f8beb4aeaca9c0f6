"""Levels of several segments in the coordinates of one, so that a window may reach across closures without the gap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


def stretches(seg_age: I4, back: int) -> Iterator[tuple[int, int, int]]:
    """(first, start, stop) of each segment: its rows are start .. stop - 1, its trajectory begins at row `first`, at
    most `back` rows earlier."""
    starts = np.flatnonzero(seg_age == 0)
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(seg_age)], strict=True):
        yield max(0, start - back), start, stop


def splice(y: F8, segment: I4, ends: F8, first: int, start: int, stop: int) -> F8:
    """Rows first .. stop - 1 of the levels `y`, counted from the zero of the segment that begins at row `start`.

    ends : last level of each segment (segments, pairs), as `Stream.ends`; without rows (a stream without closure gaps)
    the rows are given as they are. Closure gaps are removed from the newest segment to the oldest, so that a row's bits
    depend on nothing but the closures between it and `start`; a segment without a price adds none. Bars' open, high
    and low take the ends of their closes. Shape (stop - first, pairs), a new array.
    """
    out = y[first:stop].copy()
    if len(ends) and first < start:
        _shift(out, segment[first:start], ends, int(segment[start]))
    return out


@kernel
def _shift(out: F8, segment: I4, ends: F8, home: int) -> None:
    p = out.shape[1]
    total = np.zeros(p)
    now = home
    for k in range(len(segment) - 1, -1, -1):
        while segment[k] < now:
            now -= 1
            for j in range(p):
                end = ends[now, j]
                total[j] += end if end == end else 0.0
        for j in range(p):
            out[k, j] -= total[j]
