"""Fixtures shared by all rooms: a small simulated market with the difficulties real ones have."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import postgres_database
import postgres_server
from bqx.base import redaction
from bqx.market.calendar import Calendar, datetime_of, minute_of
from bqx.market.simulated import simulate

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value one test registers for redaction must not mask the reports of the next."""
    monkeypatch.setattr(redaction, "_values", set())
    monkeypatch.setattr(redaction, "_compiled", None)


SMALL_PAIRS = ("eurusd", "usdjpy", "audnzd")
SMALL_START = minute_of(datetime(2024, 2, 18, 22, tzinfo=UTC))
SMALL_END = minute_of(datetime(2024, 3, 16, tzinfo=UTC))
SMALL_T0 = minute_of(datetime(2024, 2, 21, tzinfo=UTC))
HOLIDAY = date(2024, 3, 6)
"""A Wednesday: its week becomes two segments. New York's clocks change on 10 March, London's not before the 31st."""


def at(day: str, clock: str = "00:00") -> int:
    """Minute of a UTC day and time, `at("2024-03-01", "10:30")`."""
    return minute_of(datetime.fromisoformat(f"{day}T{clock}:00+00:00"))


def without(frame: pl.DataFrame, start: int, minutes: int) -> pl.DataFrame:
    """The same bars less those of [start, start + minutes)."""
    low, high = datetime_of(start), datetime_of(start) + timedelta(minutes=minutes)
    return frame.filter((pl.col("ts_utc") < low) | (pl.col("ts_utc") >= high))


def with_holes(frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Holes of 3, 6 and 90 minutes, a late opening, a silent week, a silent Friday close, a pair that begins late."""
    out = dict(frames)
    for day, clock, minutes in (
        ("2024-02-22", "10:01", 3),
        ("2024-02-22", "11:00", 6),
        ("2024-02-22", "14:00", 90),
        ("2024-02-29", "23:58", 5),  # over the end of the month
        ("2024-03-10", "21:00", 40),  # the week opens without a quote
        ("2024-03-08", "21:30", 30),  # and the one before closed without
    ):
        out["eurusd"] = without(out["eurusd"], at(day, clock), minutes)
    out["usdjpy"] = without(out["usdjpy"], SMALL_START, 2 * 1440)
    if "audnzd" in out:
        out["audnzd"] = without(out["audnzd"], at("2024-03-03", "22:00"), 2 * 1440)
    for pair in out:
        out[pair] = without(out[pair], at("2024-03-12", "09:00"), 90)
    return out


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    """The calendar that ships."""
    return Calendar.load()


@pytest.fixture(scope="session")
def holiday_calendar() -> Calendar:
    """The same with a Wednesday closed."""
    return Calendar("test", ((1, 1), (12, 25)), (HOLIDAY,))


@pytest.fixture(scope="session")
def small_frames(holiday_calendar: Calendar) -> dict[str, pl.DataFrame]:
    """Four weeks of three simulated pairs on `holiday_calendar`, with holes; 25,000 bars a pair."""
    whole = simulate(holiday_calendar, SMALL_START, SMALL_END, seed=1, pairs=SMALL_PAIRS, origin_minute=SMALL_START)
    return with_holes(whole)


LONG_START = minute_of(datetime(2023, 12, 24, 22, tzinfo=UTC))


@pytest.fixture(scope="session")
def long_frames(holiday_calendar: Calendar) -> dict[str, pl.DataFrame]:
    """Twelve weeks of two pairs with the same end, holiday, change of clocks and holes; 80,000 bars a pair."""
    pairs = SMALL_PAIRS[:2]
    whole = simulate(holiday_calendar, LONG_START, SMALL_END, seed=1, pairs=pairs, origin_minute=LONG_START)
    return with_holes(whole)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[int], postgres_server.Server]]:
    """postgres(15) -> a running server of that major version, one a session; its tests make databases of their own."""
    running: dict[int, postgres_server.Server] = {}

    def server(major: int) -> postgres_server.Server:
        if major not in running:
            running[major] = postgres_server.Server(major).start()
        return running[major]

    yield server
    for each in running.values():
        each.remove()


@pytest.fixture(scope="session")
def postgres_prepared(
    postgres: Callable[[int], postgres_server.Server],
) -> Iterator[postgres_database.Prepared]:
    """Databases with tables, dropped before the servers stop."""
    made = postgres_database.Prepared()
    yield made
    made.close()


@pytest.fixture(scope="session", params=[*postgres_server.WANTED] if "BQX_TEST_DSN" not in os.environ else ["dsn"])
def postgres_dsn(request: pytest.FixtureRequest, postgres: Callable[[int], postgres_server.Server]) -> str:
    """Superuser DSN of each server the suite runs on, or `BQX_TEST_DSN` alone; make a database of your own in it."""
    return os.environ["BQX_TEST_DSN"] if request.param == "dsn" else postgres(request.param).dsn()


@pytest.fixture(scope="session")
def served_world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two pairs with a signed model each, eight days of bars and three datasets built; copy it to change it."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    from benchmarks.soak.api_world import make_world, world_span

    from bqx.market.calendar import month_span

    start, end = world_span(Calendar.load(), month_span("2024_03")[0], 1, 3 * 1440 + 600)
    return make_world(tmp_path_factory.mktemp("served-world") / "p", ("eurusd", "usdjpy"), start, end)
