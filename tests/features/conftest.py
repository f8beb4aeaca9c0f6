from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from bqx.features.checks import World
from bqx.market.calendar import Calendar
from bqx.market.calendar import minute_of as _minute_of


@pytest.fixture(scope="session")
def world(small_frames: dict[str, pl.DataFrame], holiday_calendar: Calendar) -> World:
    """Three pairs, four weeks: month boundary, DST week, holiday, holes."""
    return World(small_frames, holiday_calendar, _minute_of(datetime(2024, 2, 21, tzinfo=UTC)))
