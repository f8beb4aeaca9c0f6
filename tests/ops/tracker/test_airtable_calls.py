"""How the Airtable tracker behaves on each kind of answer the documentation promises, and on none."""

from __future__ import annotations

import logging
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.airtable.base import Field, Table
from benchmarks.airtable.server import SCOPES, Token
from benchmarks.airtable.watched import WatchedTable
from benchmarks.airtable.world import TurnedClock, Vault, new_token
from tracker_fixtures import Airtable, Ask

from bqx.base.errors import (
    BqxError,
    SecretError,
    TrackerAccess,
    TrackerError,
    TrackerSchema,
    TrackerUnreachable,
)
from bqx.ops.tracker.airtable import AirtableTracker
from bqx.ops.tracker.airtable_schema import Column, held
from bqx.ops.tracker.delivery import deliver
from bqx.ops.tracker.mapping import TrackerMap

SHORT = (10.0, 0.4)
"""Seconds to connect and to read: shorter than a late answer takes."""
Letters = Callable[[], list[tuple[str, str | None]]]


def once(*faults: str) -> Callable[[str, int], str]:
    """These faults for the next requests of the base, then none."""
    left = list(faults)
    return lambda method, number: left.pop(0) if left else ""


def test_all_pages_are_read(airtable: Airtable) -> None:
    for n in range(257):
        airtable.add(f"1.6.{n}")
    airtable.add(None)
    tracker = airtable.tracker()
    assert len(tracker.read()) == 257
    assert airtable.site.requests == 3


def test_a_page_that_fails_does_not_cut_the_list_short(airtable: Airtable) -> None:
    for n in range(257):
        airtable.add(f"1.6.{n}")
    airtable.site.fault = once("", "500")
    assert len(airtable.tracker().read()) == 257


@pytest.mark.parametrize(
    ("fault", "least_s", "most_s"),
    [
        ("429", 30, 31),
        ("500", 0.5, 3),
        ("502", 0.5, 3),
        ("503", 0.5, 3),
        ("cut", 0.5, 3),
        ("cut-after", 0.5, 3),
        ("late", 0.5, 3),
    ],
)
def test_a_read_waits_and_tries_again(airtable: Airtable, fault: str, least_s: float, most_s: float) -> None:
    airtable.add("1.6.9")
    airtable.site.fault = once(fault)
    began = airtable.clock.monotonic()
    tracker = airtable.tracker(timeout_s=SHORT) if fault == "late" else airtable.tracker()
    assert set(tracker.read()) == {"1.6.9"}
    assert least_s <= airtable.clock.monotonic() - began <= most_s
    assert airtable.site.exceeded == 0


def test_the_servers_own_word_on_waiting_counts(airtable: Airtable, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.airtable import server

    send = server._Handler.send_header

    def with_retry_after(self: object, name: str, value: str) -> None:
        send(self, name, value)  # type: ignore[arg-type]
        if name == "Content-Length":
            send(self, "Retry-After", "47")  # type: ignore[arg-type]

    monkeypatch.setattr(server._Handler, "send_header", with_retry_after)
    airtable.site.fault = once("429")
    began = airtable.clock.monotonic()
    airtable.tracker().read()
    assert 47 <= airtable.clock.monotonic() - began <= 48


def test_back_off_grows_and_ends(airtable: Airtable) -> None:
    airtable.site.fault = lambda method, number: "503"
    began = airtable.clock.monotonic()
    with pytest.raises(TrackerUnreachable, match="within 120 s: answer 503"):
        airtable.tracker().read()
    assert 60 < airtable.clock.monotonic() - began <= 120
    assert 6 <= airtable.site.requests <= 10  # 1, 2, 4, 8, 16, 32 s, less a jitter of up to a half


def test_five_requests_a_second_and_no_more(airtable: Airtable, con: sqlite3.Connection, ask: Ask) -> None:
    for n in range(100):
        ask(f"3.1.{n}", notes=f"n{n}")
    began = airtable.clock.monotonic()
    out = deliver(con, airtable.tracker(), clock=airtable.clock)
    assert len(out.delivered) == 100
    assert airtable.site.exceeded == 0
    assert airtable.site.requests == 1 + 10 * 3  # the schema; read, write and read again for each batch of 10
    assert 5.5 < airtable.clock.monotonic() - began < 9


def test_trackers_opened_one_after_the_other_keep_the_limit_together(airtable: Airtable) -> None:
    for _ in range(12):
        airtable.tracker().read()
    assert (airtable.site.requests, airtable.site.exceeded) == (12, 0)


def test_two_hundred_and_fifty_changes_are_delivered_within_a_minute(
    airtable: Airtable, con: sqlite3.Connection, ask: Ask
) -> None:
    """With one lock-out of 30 s among them."""
    for n in range(250):
        ask(f"3.1.{n}", notes=f"n{n}")
    airtable.site.fault = once(*[""] * 20, "429")
    out = deliver(con, airtable.tracker(), clock=airtable.clock)
    assert len(out.delivered) == 250
    assert 30 < out.longest_s < 60


@pytest.mark.parametrize("fault", ["429", "500", "cut", "cut-after", "late"])
def test_a_write_is_followed_by_a_look_not_by_a_write(
    airtable: Airtable, con: sqlite3.Connection, ask: Ask, fault: str
) -> None:
    airtable.add("1.6.1")
    ask("1.6.1", notes="mine")
    ask("2.1", notes="new")
    airtable.site.fault = lambda method, number: fault if number == 3 else ""
    tracker = airtable.tracker(timeout_s=SHORT) if fault == "late" else airtable.tracker()
    assert deliver(con, tracker, clock=airtable.clock).delivered == [1, 2]
    kinds = [e.what for e in airtable.table.events if e.code == "BQX-1.6.1"]
    assert ["write", "write"] not in [kinds[k : k + 2] for k in range(len(kinds))]
    assert [f["Notes"] for f in airtable.of("1.6.1") + airtable.of("2.1")] == ["mine", "new"]


def test_an_option_that_is_not_there_names_those_that_are(airtable: Airtable) -> None:
    airtable.table.allow("Status", ("Todo", "In Progress", "Complete"))
    with pytest.raises(TrackerSchema) as caught:
        airtable.tracker().probe()
    assert "'Done'" in caught.value.what
    assert "Todo, In Progress, Complete" in str(caught.value.fix)


def test_an_option_that_goes_in_between_is_refused_and_the_rest_delivered(
    airtable: Airtable, con: sqlite3.Connection, ask: Ask, letters: Letters
) -> None:
    for code in ("1.6.1", "1.6.2", "1.6.3"):
        airtable.add(code, Status="Todo")
    ask("1.6.1", notes="one")
    ask("1.6.2", status="validated", evidence="ev-1")
    ask("1.6.3", notes="three")

    def goes(method: str, number: int) -> str:
        if method == "PATCH":
            airtable.table.allow("Status", ("Todo", "In Progress"))
        return ""

    airtable.site.fault = goes
    out = deliver(con, airtable.tracker(), clock=airtable.clock)
    assert (sorted(out.delivered), out.dead) == ([1, 3], [2])
    assert letters()[1] == ("dead", "BQX711")
    reason = con.execute("SELECT reason FROM tracker_outbox WHERE id = 2").fetchone()[0]
    assert "INVALID_MULTIPLE_CHOICE_OPTIONS" in reason
    assert airtable.of("1.6.2")[0]["Status"] == "Todo"
    tries = [e for e in airtable.table.events if e.what == "write" and e.code == "BQX-1.6.2"]
    assert tries == []  # no blind attempts with other words


@pytest.mark.parametrize("fault", ["401", "403"])
def test_a_lost_token_loses_nothing(
    airtable: Airtable, con: sqlite3.Connection, ask: Ask, letters: Letters, fault: str
) -> None:
    ask("1.6.1", notes="mine")
    airtable.site.fault = lambda method, number: fault if number >= 3 else ""
    out = deliver(con, airtable.tracker(), clock=airtable.clock)
    assert isinstance(out.problem, TrackerAccess)
    assert (out.problem.exit_code, out.waiting, letters()) == (10, 1, [("waiting", None)])
    airtable.site.fault = lambda method, number: ""
    assert deliver(con, airtable.tracker(), clock=airtable.clock).delivered == [1]


def test_a_secret_that_cannot_be_had_loses_nothing(airtable: Airtable, con: sqlite3.Connection, ask: Ask) -> None:
    ask("1.6.1", notes="mine")
    tracker = AirtableTracker(Vault(), TrackerMap.load(), endpoint=airtable.fake.url, clock=airtable.clock)
    out = deliver(con, tracker, clock=airtable.clock)
    assert isinstance(out.problem, SecretError)
    assert (out.waiting, airtable.site.requests) == (1, 0)


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_a_scope_that_lacks_is_named_at_the_start(airtable: Airtable, scope: str) -> None:
    airtable.fake.tokens[airtable.token] = Token({airtable.site.base.id}, SCOPES - {scope}, oauth=True)
    with pytest.raises(TrackerAccess, match=scope):
        airtable.tracker().probe()


def test_a_personal_token_shows_no_scopes_but_is_tried(airtable: Airtable) -> None:
    airtable.fake.tokens[airtable.token] = Token({airtable.site.base.id}, SCOPES - {"schema.bases:read"})
    with pytest.raises(TrackerAccess, match="list the bases"):
        airtable.tracker().probe()


def test_more_than_is_needed_is_mentioned(airtable: Airtable) -> None:
    airtable.fake.tokens[airtable.token] = Token({airtable.site.base.id}, SCOPES | {"schema.bases:write"}, oauth=True)
    assert "does not need: schema.bases:write" in airtable.tracker().probe()


def test_a_base_out_of_reach_and_one_that_may_not_be_edited(airtable: Airtable) -> None:
    airtable.site.base.permission = "comment"
    with pytest.raises(TrackerAccess, match="only comment"):
        airtable.tracker().probe()
    airtable.fake.tokens[airtable.token] = Token(set())
    with pytest.raises(TrackerAccess, match="does not reach the base"):
        airtable.tracker().probe()


def test_an_answer_about_other_records_stops_everything(
    airtable: Airtable, con: sqlite3.Connection, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    airtable.add("1.6.1")
    other = airtable.add("1.6.10")
    ask("1.6.1", notes="mine")
    monkeypatch.setattr(airtable.table, "patch", lambda body: {"records": [airtable.table.shown(other)]})
    assert deliver(con, airtable.tracker(), clock=airtable.clock).dead == [1]
    assert "answered with others" in con.execute("SELECT reason FROM tracker_outbox").fetchone()[0]


@pytest.mark.parametrize("fault", ["401", "403", "422", "503", "cut", "garbage"])
def test_errors_and_logs_show_no_token_and_no_id(
    airtable: Airtable, fault: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # as it is for everybody: our root logger says so
    record = airtable.add("1.6.1")
    tracker = airtable.tracker()
    found = tracker.read(["1.6.1"])["1.6.1"]
    if fault == "422":
        airtable.table.remove(record)  # the answer names the record and the table
    elif fault == "garbage":
        monkeypatch.setattr(airtable.table, "patch", lambda body: {"records": [{"id": record}]})
        monkeypatch.setattr(airtable.table, "page", lambda query: {"records": [{"id": record}]})
    else:
        airtable.site.fault = lambda method, number: fault
    from bqx.ops.tracker.port import Change, Uncertain

    for call in (lambda: tracker.read(), lambda: tracker.write([Change("1.6.1", {"notes": "x"}, found)])):
        try:
            call()
        except (BqxError, Uncertain) as error:
            shown = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
            assert error.__context__ is None  # nothing that holds the request, and in it the token
            for secret in (airtable.token, airtable.site.base.id, airtable.table.id, record):
                assert secret not in shown
        else:
            assert fault == "422" and call.__code__.co_firstlineno  # reading a removed record is no error


def test_the_mapping_is_held_against_the_base(airtable: Airtable, tmp_path: Path) -> None:
    text = TrackerMap.load().where
    shipped = Path(text).read_text()
    for old, new, match in [
        ('table = "Stages"', 'table = "Stage"', "no table 'Stage'"),
        ('name = "Stage Name"', 'name = "Stage Title"', "no field 'Stage Title'"),
        ('notes = "Notes"', 'notes = "Age"', "formula, which cannot be written"),
        ('key = "Stage Code"', 'key = "Duration (Hours)"', "number, which cannot be written"),
        ('validated = "Done"', 'validated = "done"', "no option 'done'"),
    ]:
        assert shipped.count(old) == 1
        path = tmp_path / "map.toml"
        path.write_text(shipped.replace(old, new))
        with pytest.raises(TrackerSchema, match=match.replace("(", "\\(")):
            airtable.tracker(mapping=TrackerMap.load(path)).probe()


def test_each_code_goes_to_its_own_table(airtable: Airtable, con: sqlite3.Connection, ask: Ask, tmp_path: Path) -> None:
    tasks = WatchedTable(Table("Tasks", [Field("Task ID"), Field("Task Name")]))
    tasks.add({"Task ID": "1.6.1", "Task Name": "a stage's code in another table"})
    airtable.site.base.tables["Tasks"] = tasks
    path = tmp_path / "map.toml"
    path.write_text(
        "[tables.stages]\ntable = 'Stages'\nkey = 'Stage Code'\nprefix = 'BQX-'\ncodes = '1[.].*'\n"
        "fields = {name = 'Stage Name'}\n"
        "[tables.tasks]\ntable = 'Tasks'\nkey = 'Task ID'\ncodes = 'TSK-.*'\nfields = {name = 'Task Name'}\n"
    )
    tracker = airtable.tracker(mapping=TrackerMap.load(path))
    for code in ("1.6.1", "TSK-1.6.1.1", "2.1"):
        ask(code, name=f"of {code}")
    out = deliver(con, tracker, clock=airtable.clock)
    assert (out.delivered, out.dead) == ([1, 2], [3])
    assert airtable.of("1.6.1") == [{"Stage Code": "BQX-1.6.1", "Stage Name": "of 1.6.1"}]
    assert [f["Task Name"] for f in tasks.records.values()] == ["a stage's code in another table", "of TSK-1.6.1.1"]
    assert set(tracker.read()) == {"1.6.1", "TSK-1.6.1.1"}


def test_values_that_do_not_fit_say_why(airtable: Airtable) -> None:
    tracker = airtable.tracker()
    for fields, match in [
        ({"hours": "two"}, "no number"),
        ({"status": "paused"}, "no option in the mapping"),
        ({"colour": "red"}, "no field for colour"),
    ]:
        with pytest.raises(TrackerSchema, match=match):
            tracker.shown("1.6.1", fields)
    assert tracker.shown("1.6.1", {"hours": 2, "notes": 3, "status": "validated"}) == {
        "hours": 2,
        "notes": "3",
        "status": "Done",
    }


def test_values_take_the_form_in_which_they_come_back() -> None:
    for kind, value, shown in [
        ("dateTime", "2026-11-27T13:00:00+01:00", "2026-11-27T12:00:00.000Z"),
        ("date", "2026-11-27", "2026-11-27"),
        ("singleLineText", 1_456, "1456"),
        ("multilineText", "a\nb", "a\nb"),
        ("number", 6.5, 6.5),
        ("date", "", None),
    ]:
        assert held(Column("F", kind), value, "here") == shown
    for kind, value in [
        ("dateTime", "2026-11-27T13:00:00"),
        ("dateTime", "noon"),
        ("date", "27.11.2026"),
        ("singleLineText", "a\nb"),
        ("number", "6"),
    ]:
        with pytest.raises(TrackerSchema):
            held(Column("F", kind), value, "here")


def test_a_token_that_changes_is_taken_up(airtable: Airtable) -> None:
    vault = Vault(**{"airtable-token": airtable.token, "airtable-base": airtable.site.base.id})
    tracker = AirtableTracker(vault, TrackerMap.load(), endpoint=airtable.fake.url, clock=TurnedClock())
    tracker.read()
    fresh = new_token()
    airtable.fake.tokens = {fresh: airtable.fake.tokens[airtable.token]}
    with pytest.raises(TrackerAccess, match="not valid any more"):
        tracker.read()
    vault._values["airtable-token"] = fresh
    assert tracker.read() == {}


def test_the_library_that_is_missing_is_named(airtable: Airtable, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyairtable", None)
    with pytest.raises(BqxError, match="pyairtable is not installed"):
        airtable.tracker().probe()
    assert issubclass(TrackerAccess, TrackerError)
