from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from bqx.features.checks import World
from bqx.features.checks.reach import LEAST_DAYS, PANEL_DAYS, days_needed
from bqx.features.checks.world import trading_day_after
from bqx.features.declare import Dataset
from bqx.market.calendar import DAY, Calendar, datetime_of
from bqx.market.calendar import minute_of as _minute_of
from bqx.market.pairs import PAIRS
from bqx.market.schedule import NEVER, Schedule, make_schedule
from panel_bars import panel_frames

END = _minute_of(datetime(2024, 3, 16, tzinfo=UTC))
"""Of all worlds."""


FEWER = {
    "error_correction_dual": tuple(p for p in PAIRS if "eur" in p or "usd" in p),
    "arbitrage_dual": tuple(p for p in PAIRS if "eur" in p or "usd" in p),
    "health_dual": ("audnzd", "eurgbp"),
}
"""Panel datasets that see months back, and pairs enough for each of their columns: 13 hold all groups of EURUSD."""


@pytest.fixture(scope="session")
def world(small_frames: dict[str, pl.DataFrame], holiday_calendar: Calendar) -> World:
    """Three pairs, four weeks: month boundary, DST week, holiday, holes."""
    return World(small_frames, holiday_calendar, _minute_of(datetime(2024, 2, 21, tzinfo=UTC)))


@pytest.fixture(scope="session")
def long_world(long_frames: dict[str, pl.DataFrame], holiday_calendar: Calendar) -> World:
    """Two pairs, twelve weeks, the same end: for columns that see further back than four weeks."""
    return World(long_frames, holiday_calendar, _minute_of(datetime(2023, 12, 26, tzinfo=UTC)))


def make_panel_world(calendar: Calendar, days: int, pairs: tuple[str, ...] = PAIRS) -> World:
    """Some pairs, all 28 unless told, over `days` days before the end of `world`."""
    start = calendar.segment_start(END - days * DAY)
    return World(panel_frames(calendar, start, END, pairs), calendar, trading_day_after(calendar, start))


def make_events(world: World) -> Schedule:
    """Some events a day, most of them published a week before, some on the day, after the fact, or withdrawn."""
    rng = np.random.default_rng(5)
    first, last = world.span
    many = (last - first) // 240
    at = first + rng.integers(0, last - first + 3 * DAY, many)
    at[: many // 5] = at[many // 5 : 2 * (many // 5)] + rng.integers(0, 60, many // 5)  # several within an hour
    before = np.where(rng.random(many) < 0.8, 7 * DAY, rng.integers(-120, 600, many))
    off = np.where(rng.random(many) < 0.1, at - rng.integers(1, 600, many), NEVER)
    codes = [rng.integers(1, most + 1, many) for most in (9, 3, 4)]
    published = at - before
    rows = zip(at, published, np.maximum(off, published), *codes, strict=True)
    return make_schedule([tuple(int(v) for v in row) for row in rows])


@pytest.fixture(scope="session")
def panel_world(holiday_calendar: Calendar) -> World:
    """28 pairs over as many days as a dataset that sees last week's bars wants."""
    return make_panel_world(holiday_calendar, PANEL_DAYS)


@pytest.fixture(scope="session")
def world_for(world: World, long_world: World, panel_world: World) -> Callable[[Dataset], World]:
    """world_for(dataset): the four weeks where they hold enough, else as much of the twelve as its columns need, the
    second pair beginning a day later; for panel datasets 28 pairs, or `FEWER`."""
    made: dict[int, World] = {}
    panels = {PANEL_DAYS: panel_world}
    fewer: dict[str, World] = {}

    scheduled: dict[int, World] = {}

    def choose(home: Dataset) -> World:
        found = bars_for(home)
        if "schedule" not in home.uses:
            return found
        return scheduled.setdefault(id(found), replace(found, schedule=make_events(found)))

    def bars_for(home: Dataset) -> World:
        days = days_needed(home, world.calendar, world.span[1])
        if home.name in FEWER:
            if home.name not in fewer:
                fewer[home.name] = make_panel_world(world.calendar, days, FEWER[home.name])
            return fewer[home.name]
        if "panel" in home.uses:
            if days not in panels:
                panels[days] = make_panel_world(world.calendar, days)
            return panels[days]
        if days <= LEAST_DAYS:
            return world
        if days not in made:
            cut = long_world.recent(days)
            edge = datetime_of(cut.span[0] + DAY)
            late = cut.pairs[-1]
            frames = {**cut.frames, late: cut.frames[late].filter(pl.col("ts_utc") >= edge)}
            made[days] = replace(cut, frames=frames)
        return made[days]

    return choose
