"""The clock of a file: found from the weekly close, refused with the right proposal, never guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from polars.testing import assert_frame_equal

import bar_files as bf
from bqx.base.errors import ClockError, UsageError
from bqx.market.calendar import Calendar
from bqx.market.clock import establish, find_closes
from bqx.market.clockmatch import match_offset
from bqx.market.fileclock import FileClock
from bqx.market.importers.read import ReadOptions, read_source

CALENDAR = Calendar.load()
SUMMER = bf.make_rows("2024-06-06T12:00", 5)
OVER_DST = bf.make_rows("2024-02-29T00:00", 26)  # New York changes on 10 March, Europe not before 31 March
NEW_YORK_7 = "America/New_York+07:00"


def broker(when: datetime) -> datetime:
    """New York + 7 hours, by zoneinfo."""
    return when.astimezone(ZoneInfo("America/New_York")).replace(tzinfo=UTC) + timedelta(hours=7)


def stamps(rows: list[bf.Row], clock: bf.Clock = bf.utc) -> np.ndarray:
    return np.array([int(clock(r.ts).replace(tzinfo=UTC).timestamp()) // 60 for r in rows])


@pytest.mark.parametrize("hours", [-12, -8, -5, -4, 1, 2, 3, 5.5, 8, 10, 13])
def test_a_wrong_clock_is_refused_and_the_proposal_reads_the_file(tmp_path: Path, hours: float) -> None:
    path = bf.metatrader(tmp_path / "EURUSD.csv", SUMMER, bf.ahead(hours))
    with pytest.raises(ClockError) as caught:
        read_source([path], CALENDAR)
    sign, size = ("-" if hours < 0 else "+"), abs(hours)
    offset = f"{sign}{int(size):02d}:{int(size * 60) % 60:02d}"
    assert f"--utc-offset={offset}" in (caught.value.fix or "")
    closes = [i for i, r in enumerate(SUMMER[:-1]) if SUMMER[i + 1].ts - r.ts > timedelta(hours=40)]
    assert caught.value.where == f"{path}:{closes[0] + 1}"
    (found,) = read_source([path], CALENDAR, options=ReadOptions(FileClock.parse(offset, None)))
    assert_frame_equal(found.frame.select("ts_utc", "open", "high", "low", "close"), bf.prices(SUMMER))
    assert found.report.clock["established"]


def test_utc_is_established_by_the_closes() -> None:
    found = establish(stamps(SUMMER), None)
    assert (found.clock.text, found.how, found.agreeing) == ("UTC", "weekly close", 1)


def test_early_last_quotes_are_no_other_clock() -> None:
    """FXCM stops at 16:55, others up to 20 minutes early."""
    rows = [r for r in SUMMER if not (r.ts.weekday() == 4 and (r.ts.hour, r.ts.minute) >= (20, 40))]
    assert establish(stamps(rows), None).agreeing == 1


def test_a_broker_clock_over_a_change_of_summer_time_proposes_the_zone(tmp_path: Path) -> None:
    path = bf.metatrader(tmp_path / "EURUSD.csv", OVER_DST, broker)
    with pytest.raises(ClockError) as caught:
        read_source([path], CALENDAR)
    assert (caught.value.fix or "").startswith(f"use --timezone={NEW_YORK_7}")
    (found,) = read_source([path], CALENDAR, options=ReadOptions(FileClock.parse(None, NEW_YORK_7)))
    assert_frame_equal(found.frame.select("ts_utc", "open", "high", "low", "close"), bf.prices(OVER_DST))


def test_athens_is_not_mistaken_for_new_york_plus_seven() -> None:
    rows = bf.make_rows("2024-03-14T00:00", 26)
    athens = stamps(rows, lambda when: when.astimezone(ZoneInfo("Europe/Athens")))
    with pytest.raises(ClockError, match="weekly close") as caught:
        establish(athens, None)
    assert (caught.value.fix or "").startswith("use --timezone=Europe/Athens")


def test_a_stated_clock_that_cannot_be_right_is_refused_unless_trusted() -> None:
    minutes, wrong = stamps(SUMMER), FileClock.fixed(180)
    with pytest.raises(ClockError, match="Fri 14:00 New York") as caught:
        establish(minutes, wrong)
    assert "--utc-offset=+00:00" in (caught.value.fix or "")
    assert "--trust-clock" in (caught.value.fix or "")
    found = establish(minutes, wrong, trust=True)
    assert (found.agreeing, found.how) == (0, "option, against the evidence")


def test_without_a_weekly_close_nothing_is_guessed() -> None:
    minutes = stamps([r for r in SUMMER if r.ts.weekday() in (0, 1)][:2000])
    with pytest.raises(ClockError, match="not established") as caught:
        establish(minutes, None)
    assert "--utc-offset=+00:00" in (caught.value.fix or "")
    found = establish(minutes, FileClock.utc())
    assert not found.established
    assert found.notes == ("no weekly close in the files: the clock is taken on trust",)


def test_bars_through_the_weekend_are_no_close() -> None:
    with pytest.raises(ClockError, match="not established"):
        establish(np.arange(stamps(SUMMER)[0], stamps(SUMMER)[-1]), None)


def test_one_odd_close_among_four_is_a_note() -> None:
    """A market that shut at 13:00 New York once, as before a holiday."""
    rows = [r for r in OVER_DST if not (r.ts.date().isoformat() == "2024-03-15" and r.ts.hour >= 17)]
    found = establish(stamps(rows), None)
    assert (len(found.closes), found.agreeing) == (4, 3)
    assert "2024-03-15 17:00" in found.notes[0]


def test_openings_are_no_evidence() -> None:
    """Some venues quote two hours before the market opens (Lean's FXCM days of 2014)."""
    early = [r._replace(ts=r.ts - timedelta(hours=2)) for r in SUMMER if r.ts.weekday() == 6 and r.ts.hour < 23]
    rows = sorted({r.ts: r for r in [*SUMMER, *early]}.values())
    found = establish(stamps(rows), None)
    assert found.closes[0].gap == 46 * 60
    assert found.agreeing == 1


def test_days_far_from_any_close_are_named() -> None:
    rows = [*bf.make_rows("2023-06-06T00:00", 1), *SUMMER]
    assert "1 days, first 2023-06-06, lie more than 60 days" in establish(stamps(rows), None).notes[0]


def test_a_gap_of_months_is_no_close() -> None:
    rows = [*bf.make_rows("2023-06-06T00:00", 1), *bf.make_rows("2023-06-13T00:00", 1)]
    assert find_closes(stamps(rows)) == ()


@pytest.mark.parametrize(
    ("text", "zone", "shift"),
    [("America/New_York+07:00", "America/New_York", 420), ("Europe/Athens", "Europe/Athens", 0), ("EET", "EET", 0)],
)
def test_zone_conversion_equals_zoneinfo(text: str, zone: str, shift: int) -> None:
    clock = FileClock.parse(None, text)
    assert clock is not None
    when = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=37 * k) for k in range(14000)]
    local = [w.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC) + timedelta(minutes=shift) for w in when]
    want = np.array([int(w.timestamp()) // 60 for w in when])
    got = clock.to_utc(np.array([int(t.timestamp()) // 60 for t in local]))
    repeated = np.array([w.astimezone(ZoneInfo(zone)).fold == 1 for w in when])
    assert repeated.sum() in (1, 2)
    assert (got[~repeated] == want[~repeated]).all()
    assert (got[repeated] == want[repeated] - 60).all()


@pytest.mark.parametrize("bad", ["five", "+15:00", "-05:99", ""])
def test_bad_offsets(bad: str) -> None:
    with pytest.raises(UsageError, match="not an offset"):
        FileClock.parse(bad, None)


@pytest.mark.parametrize("bad", ["Mars/Olympus", "../etc/passwd", "America/New_York+7"])
def test_bad_zones(bad: str) -> None:
    with pytest.raises(UsageError, match="unknown time zone"):
        FileClock.parse(None, bad)


def test_options_say_how_to_ask_again() -> None:
    for text in ("-05:00", "+05:30", "+00:00"):
        clock = FileClock.parse(text, None)
        assert clock is not None
        assert clock.option == f"utc-offset={text}"


def test_returns_tell_the_offset() -> None:
    rng = np.random.default_rng(3)
    known = np.arange(0, 3000) + 28_000_000
    price = np.exp(np.cumsum(rng.normal(0, 1e-4, 3000)))
    other = price * np.exp(rng.normal(0, 2e-5, 3000))
    found = match_offset(known[500:1500] - 300, other[500:1500], known, price)
    assert found is not None
    assert found.offset == -300
    assert found.correlation > 0.9
    noise = np.exp(np.cumsum(rng.normal(0, 1e-4, 3000)))
    assert match_offset(known, noise, known, price) is None
    assert match_offset(known[:100], price[:100], known, price) is None
