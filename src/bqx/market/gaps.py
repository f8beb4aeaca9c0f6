"""Missing open minutes of a pair: gaps by length, the carries the grid will make, the holes it will leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import Calendar, datetime_of
from bqx.market.findings import MAX_PLACES, Gaps, Place
from bqx.market.panel import MAX_CARRY

I8 = NDArray[np.int64]
_EDGES = (1, 2, 3, 4, 5, 6, 16, 61, 241)
_NAMES = ("1", "2", "3", "4", "5", "6-15", "16-60", "61-240", "over 240")


def _boundary(segment: NDArray[np.int32], has: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a gap ends because its segment does; a stretch that leaves out whole segments is one gap."""
    change = np.diff(segment) != 0
    number = np.r_[0, np.cumsum(change)]
    absent = np.bincount(number, weights=has) == 0
    out: NDArray[np.bool_] = change & ~absent[number[:-1]] & ~absent[number[1:]]
    return out


def measure_gaps(minutes: I8, calendar: Calendar) -> Gaps:
    """minutes: sorted unique open minutes with a bar. A gap ends with its segment, unless it spans whole ones."""
    empty = dict.fromkeys(_NAMES, 0)
    if not len(minutes):
        return Gaps(empty, 0, 0, 0)
    grid = calendar.grid(int(minutes[0]), int(minutes[-1]) + 1)
    has = np.zeros(len(grid), dtype=bool)
    has[np.searchsorted(grid.minute, minutes)] = True
    edge = np.r_[True, (has[1:] != has[:-1]) | _boundary(grid.seg_id, has), True]
    start = np.flatnonzero(edge)
    length = np.diff(start)
    start = start[:-1]
    missing = ~has[start]
    start, length = start[missing], length[missing]
    carried = grid.seg_age[start] > 0
    carried &= has[np.maximum(start - 1, 0)]
    by = np.bincount(np.searchsorted(_EDGES, length, side="right") - 1, minlength=len(_NAMES))
    holes = length > MAX_CARRY
    fills = int(np.minimum(length, MAX_CARRY)[carried].sum())
    worst = np.argsort(-length, kind="stable")[:MAX_PLACES]
    places = tuple(
        Place("", datetime_of(int(grid.minute[start[i]])).isoformat(), f"{length[i]} open minutes missing")
        for i in worst
        if length[i] > MAX_CARRY
    )
    return Gaps(
        dict(zip(_NAMES, (int(n) for n in by), strict=True)), fills, int(holes.sum()), int(length.sum()) - fills, places
    )
