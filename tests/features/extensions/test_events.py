"""events: a schedule read from a file, what may be known of it when, and clocks told by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from bqx.base.errors import ScheduleError
from bqx.features.catalogue import extensions
from bqx.features.checks import World
from bqx.features.checks.result import same_bits
from bqx.features.checks.shortage import explain_shortage
from bqx.features.checks.suite import CHECKS
from bqx.features.declare import Dataset
from bqx.market.calendar import minute_of
from bqx.market.schedule import NEVER, Schedule, make_schedule, read_schedule

HEAD = "published_utc,scheduled_utc,region,importance,kind,withdrawn_utc\n"
GOOD = "2024-02-01T00:00Z,2024-03-08T13:30Z,us,3,data,\n"
COLUMNS = [c.name for c in extensions()["events_dual"].columns if not c.name.startswith("min_since_jump")]


def read(tmp_path: Path, text: str) -> Schedule:
    path = tmp_path / "events.csv"
    path.write_text(text, encoding="utf-8")
    return read_schedule(path)


def test_a_file_is_read(tmp_path: Path) -> None:
    text = HEAD + GOOD + "2024-03-01T10:00:30Z,2024-03-07T13:15:00+00:00,EU,2,cb,2024-03-05T09:00Z\n"
    one, two = read(tmp_path, text).events
    assert one.scheduled == minute_of(datetime(2024, 3, 7, 13, 15, tzinfo=UTC))
    assert one.published == minute_of(datetime(2024, 3, 1, 10, 1, tzinfo=UTC)), "known from the next whole minute on"
    assert (one.region, one.importance, one.kind, two.withdrawn) == (2, 2, 2, NEVER)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("scheduled_utc,region\n", 1, "lacks the column published_utc, importance, kind"),
        (HEAD.replace("kind", "kind,note") + GOOD, 1, "unknown column 'note'"),
        (HEAD + GOOD.replace("us", "mars"), 2, "region is 'mars'"),
        (HEAD + GOOD + GOOD.replace(",3,", ",4,"), 3, "importance is '4'"),
        (HEAD + GOOD.replace("data", "rumour"), 2, "kind is 'rumour'"),
        (HEAD + GOOD.replace("2024-03-08T13:30Z", "8 March"), 2, "scheduled_utc is '8 March'"),
        (HEAD + GOOD.replace("13:30Z", "13:30"), 2, "does not say that it is UTC"),
        (HEAD + GOOD.replace("13:30Z", "13:30+01:00"), 2, "does not say that it is UTC"),
        (HEAD + GOOD.replace("data,", "data,2024-01-01T00:00Z"), 2, "withdrawn before it was published"),
        (HEAD + GOOD + "2024-02-01T00:00Z,2024-03-08T13:30Z\n", 3, "has not 6 values"),
        (HEAD + GOOD + GOOD, 3, "says what line 2 says"),
    ],
)
def test_a_fault_is_named_with_file_and_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(ScheduleError, match="BQX915") as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert f"events.csv:{line}" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="cannot be read"):
        read_schedule(tmp_path / "none.csv")


@pytest.fixture(scope="module")
def scheduled(world_for: Callable[[Dataset], World]) -> World:
    found = world_for(extensions()["events_dual"])
    return found.only(found.pairs[:1])


def values(world: World, start: int, end: int) -> dict[str, np.ndarray]:
    return world.values(extensions()["events_dual"], start, end, COLUMNS)


def test_clocks_by_hand(scheduled: World) -> None:
    at = minute_of(datetime(2024, 3, 5, 12, tzinfo=UTC))
    late = at + 30
    events = [
        (at - 3000, 0, NEVER, 9, 1, 4),  # the schedule began long ago
        (at, 0, NEVER, 1, 3, 1),  # US, high impact
        (at + 60, late, NEVER, 2, 2, 2),  # euro area, a central bank's decision, announced at 12:30
        (at + 60, 0, at + 10, 3, 3, 1),  # called off at 12:10
        (at + 120, 0, NEVER, 4, 1, 4),
    ]
    found = values(replace(scheduled, schedule=make_schedule(events)), at - 60, at + 130)
    clock = {name: column[:, 0] for name, column in found.items()}

    def told(name: str, minute: int) -> float:
        return float(clock[name][minute - at + 60])

    assert [told("min_to_next_us", at + k) for k in (-60, -1, 0)] == [60, 1, 1440]
    assert [told("min_since_high", at + k) for k in (-1, 0, 45)] == [1440, 0, 45]
    assert told("event_decay", at + 60) == pytest.approx(np.exp(-1))
    assert [told("min_to_next_high", at + k) for k in (0, 9, 10)] == [60, 51, 1440], "until it is called off"
    assert [told("min_to_next_cb", m) for m in (late - 1, late, at + 59, at + 60)] == [1440, 30, 1, 1440]
    assert told("min_since_cb", at + 60) == 0
    assert [told("next_importance", at + k) for k in (-60, 5, 10, 30, 60)] == [3, 3, 0, 2, 1]
    assert [told("next_region", at + k) for k in (-60, 5, 30)] == [1, 3, 2]
    assert [told("multi_event_flag", at + k) for k in (-30, 5, 31)] == [1, 0, 1]
    assert np.isnan(told("min_to_next_us", at + 120)), "nothing is ahead: the schedule has ended"


def test_what_is_published_later_does_not_matter(scheduled: World) -> None:
    """Point in time: of the schedule as it stood at a minute, every value up to it has the same bits."""
    first, last = scheduled.span
    whole = values(scheduled, first, last)
    assert scheduled.schedule is not None
    compared = 0
    for cut in np.linspace(first + 3000, last - 1, 6).astype(int).tolist():
        known = [
            e._replace(withdrawn=e.withdrawn if e.withdrawn <= cut else NEVER)
            for e in scheduled.schedule.events if e.published <= cut
        ]  # fmt: skip
        assert len(known) < len(scheduled.schedule.events)
        before = values(replace(scheduled, schedule=make_schedule(known)), first, cut + 1)
        for name in COLUMNS:
            part = before[name]
            assert same_bits(part, whole[name][: len(part)]).all(), name
            compared += int((~np.isnan(part)).sum())
    assert compared > 100_000


def test_a_look_at_what_is_not_yet_published_would_be_seen(scheduled: World) -> None:
    """The same comparison with all publication times set to the beginning fails."""
    assert scheduled.schedule is not None
    first, last = scheduled.span
    early = make_schedule([e._replace(published=0) for e in scheduled.schedule.events])
    leaked, honest = values(replace(scheduled, schedule=early), first, last), values(scheduled, first, last)
    assert any(not same_bits(leaked[name], honest[name]).all() for name in COLUMNS)


def test_the_hash_of_a_month_knows_only_what_was_published_before_its_end() -> None:
    one, two = (100, 10, NEVER, 1, 3, 1), (300, 250, NEVER, 1, 3, 1)
    assert make_schedule([one]).digest(200) == make_schedule([one, two]).digest(200)
    assert make_schedule([one]).digest(260) != make_schedule([one, two]).digest(260)
    off = (100, 10, 220, 1, 3, 1)
    assert make_schedule([one]).digest(200) == make_schedule([off]).digest(200) != make_schedule([off]).digest(230)


def test_without_a_schedule_only_the_jump_clocks_have_values(scheduled: World) -> None:
    home = extensions()["events_dual"]
    bare = replace(scheduled, schedule=None)
    first, last = bare.span
    found = bare.values(home, first, last)
    have = {name for name, value in found.items() if not np.isnan(value).all()}
    assert have == {"min_since_jump_rate", "min_since_jump_bqx"}
    results = explain_shortage(home, CHECKS["bounds"](home, bare), bare)
    assert {r.column for r in results if r.outcome == "no data"} == set(COLUMNS)
    assert "the project has no schedule" in results[0].note
