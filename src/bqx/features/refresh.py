"""Fixed calendar points at which estimates are made anew; between two of them they do not change."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import DAY, Calendar, Grid, month_of, month_span

Every = Literal["hour", "day", "week", "month"]
"""hour : each 60 open minutes of a segment, its first minute among them. day, week : the first open minute of a trade
day or trading week (17:00 New York). month : the first open minute of a UTC month."""

HOUR = 60


def latest_points(grid: Grid, every: Every, calendar: Calendar) -> NDArray[np.int64]:
    """Row of the latest point at or before each row; -1 where it precedes the grid. Shape (n,).

    The grid must begin at a segment start.
    """
    rows = np.arange(len(grid), dtype=np.int64)
    if every == "hour" or not len(rows):
        return rows - grid.seg_age % HOUR
    if every == "month":
        number = grid.minute.astype("datetime64[m]").astype("datetime64[M]").astype(np.int64)
    else:
        number = (grid.day if every == "day" else grid.week).astype(np.int64)
    first = np.flatnonzero(np.diff(number, prepend=number[:1] - 1))
    latest = first[np.searchsorted(first, rows, side="right") - 1]
    begun = point_before(int(grid.minute[0]), every, calendar) < grid.minute[0]
    return np.where(latest == 0, -1, latest) if begun else latest


def point_before(at: int, every: Every, calendar: Calendar) -> int:
    """Minute of the latest point at or before the open minute `at`; a point in a closure is the next open minute."""
    if every == "hour":
        now = calendar.ordinal(at)
        return calendar.at_ordinal(now - (now - calendar.ordinal(calendar.segment_start(at))) % HOUR)
    if every == "week":
        start = calendar.week_start(at)
    elif every == "month":
        start = month_span(month_of(at))[0]
    else:
        start = _day_start(at, calendar)
    return calendar.at_ordinal(calendar.ordinal(start))


def _day_start(at: int, calendar: Calendar) -> int:
    """First minute of the trade day of an open minute: a trade day opens whole."""
    segment = calendar.segment_start(at)
    inside = calendar.ordinal(at) - calendar.ordinal(segment)
    return calendar.at_ordinal(calendar.ordinal(at) - inside % DAY)
