"""How many bars the checks of a dataset need: what its columns can see, and enough values after that."""

from __future__ import annotations

from collections.abc import Sequence

from bqx.features.catalogue import earliest
from bqx.features.checks.world import World
from bqx.features.declare import Dataset
from bqx.market.calendar import DAY, Calendar

VALUES = 14_400
"""Bars with values that are checked: two trading weeks, so that a segment begins with less than all history loaded."""

LEAST_DAYS = 28
"""Never fewer, so that a month's boundary is among them."""


def warmup(home: Dataset) -> int:
    """The longest warm-up of its columns, bars."""
    return max((c.warmup for c in home.columns), default=0)


def bars_needed(home: Dataset, calendar: Calendar, end: int) -> int:
    """Open minutes before `end` that the checks of the dataset want."""
    start = calendar.segment_start(end - 1)
    seen = calendar.ordinal(start) - calendar.ordinal(earliest(home, start, calendar))
    return max(seen, warmup(home)) + VALUES


def days_needed(home: Dataset, calendar: Calendar, end: int) -> int:
    """The same in calendar days, at least :data:`LEAST_DAYS`."""
    return max(LEAST_DAYS, days_of(bars_needed(home, calendar, end), calendar, end))


def days_of(bars: int, calendar: Calendar, end: int) -> int:
    """Calendar days before `end` that hold as many open minutes."""
    return -(-(end - calendar.at_ordinal(calendar.ordinal(end) - bars)) // DAY)


def longest(homes: Sequence[Dataset], calendar: Calendar, end: int) -> int:
    """Days of bars that several datasets need."""
    return max((days_needed(home, calendar, end) for home in homes), default=LEAST_DAYS)


def cut(home: Dataset, world: World) -> World:
    """As much of a world's end as the dataset needs, all where it has less."""
    return world.recent(days_needed(home, world.calendar, world.span[1]))
