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

PANEL_DAYS = 18
"""The same for datasets that see all pairs: 28 of them have values enough in less time."""


def warmup(home: Dataset) -> int:
    """The longest warm-up of its columns, bars."""
    return max((c.warmup for c in home.columns), default=0)


def bars_needed(home: Dataset, calendar: Calendar, end: int) -> int:
    """Open minutes before `end` that the checks of the dataset want."""
    start = calendar.segment_start(end - 1)
    seen = calendar.ordinal(start) - calendar.ordinal(earliest(home, start, calendar))
    return max(seen, warmup(home)) + VALUES


def days_needed(home: Dataset, calendar: Calendar, end: int) -> int:
    """The same in calendar days, at least :data:`LEAST_DAYS`, of a panel :data:`PANEL_DAYS`."""
    return max(
        PANEL_DAYS if "panel" in home.uses else LEAST_DAYS, days_of(bars_needed(home, calendar, end), calendar, end)
    )


def days_of(bars: int, calendar: Calendar, end: int) -> int:
    """Calendar days before `end` that hold as many open minutes."""
    return -(-(end - calendar.at_ordinal(calendar.ordinal(end) - bars)) // DAY)


def longest(homes: Sequence[Dataset], calendar: Calendar, end: int) -> int:
    """Days of bars that several datasets need."""
    return max((days_needed(home, calendar, end) for home in homes), default=LEAST_DAYS)


def few_of(homes: Sequence[Dataset], pairs: Sequence[str], few: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Of all `pairs`, those that the checks of some datasets need, and `World.few`: all of them when one is a panel."""
    if any("panel" in home.uses for home in homes):
        return list(pairs), tuple(few)
    return list(few), ()


def cut(home: Dataset, world: World) -> World:
    """As much of a world's end as the dataset needs, all where it has less; all pairs for a panel, else its few."""
    if world.few and "panel" not in home.uses:
        world = world.only(world.few)
    return world.recent(days_needed(home, world.calendar, world.span[1]))
