"""The calendar against a walk over the minutes by zoneinfo, written without any of its code."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bqx.base.errors import CalendarError
from bqx.market.calendar import Calendar, datetime_of, minute_of, month_of, month_span, months_between

NEW_YORK = ZoneInfo("America/New_York")
CALENDAR = Calendar.load()
MIDWEEK = Calendar("test", ((1, 1), (12, 25)), (date(2024, 3, 6), date(2024, 5, 27)))


def open_by_hand(minute: int, closed: set[date]) -> bool:
    """17:00 New York begins the next date's day; Saturdays, Sundays and holidays are closed days."""
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone(NEW_YORK)
    day = local.date() + timedelta(days=1 if local.hour >= 17 else 0)
    return day.weekday() < 5 and day not in closed and (day.month, day.day) not in {(1, 1), (12, 25)}


SPANS = {
    "spring": "2024-03-05",  # clocks change on the 10th; MIDWEEK closes the 6th
    "autumn": "2024-10-30",
    "christmas": "2023-12-22",
    "memorial monday": "2024-05-23",
    "christmas on a Saturday": "2021-12-22",
}


@pytest.mark.parametrize("start", SPANS.values(), ids=SPANS)
def test_grid_equals_a_walk_by_zoneinfo(start: str) -> None:
    first = minute_of(datetime.fromisoformat(start).replace(hour=3, minute=17, tzinfo=UTC))
    last = first + 9 * 1440 + 111
    want = [m for m in range(first, last) if open_by_hand(m, set(MIDWEEK.dates))]
    place = {m: k for k, m in enumerate(want)}
    grid = MIDWEEK.grid(first, last)
    assert grid.minute.tolist() == want
    every = np.arange(first, last)
    assert MIDWEEK.is_open(every).tolist() == [m in place for m in every.tolist()]
    starts = [m for m in want if m - 1 not in place and not open_by_hand(m - 1, set(MIDWEEK.dates))]
    for k in range(0, len(grid), 17):
        local = datetime_of(int(grid.minute[k])).astimezone(NEW_YORK)
        assert grid.minute_of_day[k] == (local.hour * 60 + local.minute - 17 * 60) % 1440
        began = max((s for s in starts if s <= grid.minute[k]), default=None)
        if began is not None:
            assert grid.seg_age[k] == k - place[began]
            assert MIDWEEK.segment_start(int(grid.minute[k])) == began
    breaks = np.flatnonzero(np.diff(grid.seg_id)) + 1
    assert (grid.minute[breaks] == [s for s in starts if s > want[0]]).all()
    assert (grid.seg_age[breaks] == 0).all()


def test_ordinal_counts_open_minutes_and_comes_back() -> None:
    first = minute_of(datetime(2024, 3, 4, tzinfo=UTC))
    last = first + 6 * 1440
    base = MIDWEEK.ordinal(first)
    seen = 0
    for minute in range(first, last):
        if minute % 13 == 0 or not open_by_hand(minute, set(MIDWEEK.dates)):
            assert MIDWEEK.ordinal(minute) == base + seen
        if open_by_hand(minute, set(MIDWEEK.dates)):
            if seen % 11 == 0:
                assert MIDWEEK.at_ordinal(base + seen) == minute
            seen += 1


@pytest.mark.parametrize("year", [1991, 1999, 2007, 2024, 2060])
def test_every_open_day_has_1440_minutes(year: int) -> None:
    start, end = (minute_of(datetime(y, 1, 1, tzinfo=UTC)) for y in (year, year + 1))
    grid = CALENDAR.grid(start, end)
    _, counts = np.unique(grid.day, return_counts=True)
    assert (counts[1:-1] == 1440).all()
    assert len(grid) == CALENDAR.ordinal(end) - CALENDAR.ordinal(start)


def test_utc_hours_of_the_close_move_with_new_york() -> None:
    closures = CALENDAR.closures(*(minute_of(datetime(2024, m, 1, tzinfo=UTC)) for m in (3, 4)))
    assert [f"{datetime_of(a):%a %d %H:%M}-{datetime_of(b):%a %d %H:%M}" for a, b in closures] == [
        "Fri 01 22:00-Sun 03 22:00",
        "Fri 08 22:00-Sun 10 21:00",
        "Fri 15 21:00-Sun 17 21:00",
        "Fri 22 21:00-Sun 24 21:00",
        "Fri 29 21:00-Sun 31 21:00",
    ]


def test_digest_sees_holidays_of_its_span_and_no_others() -> None:
    month = month_span("2024_03")
    assert CALENDAR.digest(*month) != MIDWEEK.digest(*month)
    assert CALENDAR.digest(*month_span("2024_08")) == MIDWEEK.digest(*month_span("2024_08"))
    assert CALENDAR.digest(*month_span("2024_08")) != CALENDAR.digest(*month_span("2024_07"))


def test_months_are_utc() -> None:
    start, end = month_span("2024_12")
    assert (datetime_of(start), datetime_of(end)) == (
        datetime(2024, 12, 1, tzinfo=UTC),
        datetime(2025, 1, 1, tzinfo=UTC),
    )
    assert month_of(end - 1) == "2024_12"
    assert months_between(start - 1, end + 1) == ["2024_11", "2024_12", "2025_01"]
    assert months_between(start, start) == []


def test_empty_span() -> None:
    saturday = minute_of(datetime(2024, 6, 8, tzinfo=UTC))
    assert len(CALENDAR.grid(saturday, saturday + 1000)) == 0
    assert len(CALENDAR.grid(saturday - 3000, saturday - 3000)) == 0


@pytest.mark.parametrize("text", ["2024-13", "july", "2024_00", "2024_7_1"])
def test_bad_months(text: str) -> None:
    with pytest.raises(CalendarError, match="not a month"):
        month_span(text)


def test_times_must_be_aware_and_whole() -> None:
    with pytest.raises(CalendarError, match="no time zone"):
        minute_of(datetime(2024, 1, 1))
    with pytest.raises(CalendarError, match="whole minute"):
        minute_of(datetime(2024, 1, 1, 0, 0, 1, tzinfo=UTC))


def test_years_it_does_not_know() -> None:
    with pytest.raises(CalendarError, match="1990-2079"):
        CALENDAR.ordinal(minute_of(datetime(1985, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    "text",
    [
        'yearly = ["12-25"]',
        'version = "1"\nyearly = ["13-45"]',
        'version = "1"\ndates = ["soon"]',
        "version = ",
        'version = "1"\nx = 2',
    ],
)
def test_unusable_holiday_files_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "holidays.toml"
    path.write_text(text)
    with pytest.raises(CalendarError) as caught:
        Calendar.load(path)
    assert caught.value.where == str(path)
    with pytest.raises(CalendarError):
        Calendar.load(tmp_path / "absent.toml")
