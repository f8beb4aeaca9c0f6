"""Sync, differences and the gate in front of a stage."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.airtable.base import Base
from benchmarks.airtable.plan_base import stages
from benchmarks.airtable.watched import WatchedTable
from benchmarks.airtable.world import TurnedClock
from tracker_fixtures import Airtable, Ask

from bqx.base.errors import TrackerDrift, TrackerStale, TrackerUnreachable, UsageError
from bqx.ops.tracker import box
from bqx.ops.tracker.check import check
from bqx.ops.tracker.delivery import deliver
from bqx.ops.tracker.drift import Records, differences
from bqx.ops.tracker.local import LocalTracker
from bqx.ops.tracker.lock import delivering
from bqx.ops.tracker.sync import last_sync, sync

Letters = Callable[[], list[tuple[str, str | None]]]
PLAN: Records = {
    "1.6.9": {"name": "Table renaming", "status": "validated", "evidence": "ev-1", "hours": 1.0},
    "1.6.10": {"name": "Technical", "status": "defined", "evidence": None, "hours": 6.0},
}
EVIDENCE: Records = {"1.6.9": {"status": "validated"}}


@pytest.fixture
def local(tmp_path: Path) -> LocalTracker:
    return LocalTracker(tmp_path / "tracker")


def edit(tracker: LocalTracker, code: str, **fields: str) -> None:
    """By a person's hand."""
    rows = tracker._load()
    next(row for row in rows if row["code"] == code).update(fields)
    tracker._save(rows)


def whys(con: sqlite3.Connection, tracker: LocalTracker, plan: Records = PLAN) -> dict[str, str]:
    return {f"{d.code} {d.field}": d.why for d in differences(con, tracker, plan, EVIDENCE)}


def test_a_first_sync_sends_the_plan_and_the_gate_opens(
    con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock
) -> None:
    with pytest.raises(TrackerStale, match="no sync yet"):
        check(con, local, PLAN, EVIDENCE, clock=clock)
    assert set(whys(con, local).values()) == {"not in the tracker"}
    done = sync(con, local, PLAN, EVIDENCE, clock=clock)
    assert (done.left, done.records, len(done.queued)) == ([], 2, 2)
    found = check(con, local, PLAN, EVIDENCE, clock=clock)
    assert (found.records, found.fields) == (2, 8)


def test_the_gate_shuts_after_fifteen_minutes(con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock) -> None:
    sync(con, local, PLAN, EVIDENCE, clock=clock)
    clock.sleep(899)
    check(con, local, PLAN, EVIDENCE, clock=clock)
    clock.sleep(2)
    with pytest.raises(TrackerStale, match="15 min ago, at most 15 min"):
        check(con, local, PLAN, EVIDENCE, clock=clock)
    sync(con, local, PLAN, EVIDENCE, clock=clock)
    check(con, local, PLAN, EVIDENCE, clock=clock)
    clock.sleep(-3600)  # a clock that was wrong and was set right
    with pytest.raises(TrackerStale):
        check(con, local, PLAN, EVIDENCE, clock=clock)


def test_the_gate_shuts_on_what_waits_or_died(
    con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock, ask: Ask, letters: Letters
) -> None:
    sync(con, local, PLAN, EVIDENCE, clock=clock)
    ask("1.6.9", hours=2.0)
    clock.sleep(30)
    with pytest.raises(TrackerStale, match="1 changes wait to be delivered, the oldest for 30 s"):
        check(con, local, PLAN, EVIDENCE, clock=clock)
    edit(local, "1.6.9", hours="a week")
    deliver(con, local, clock=clock)
    assert letters()[-1] == ("dead", "BQX716")
    with pytest.raises(TrackerDrift, match="1 changes could not be delivered"):
        check(con, local, PLAN, EVIDENCE, clock=clock)


def test_the_gate_shuts_on_any_difference_read_now(
    con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock
) -> None:
    sync(con, local, PLAN, EVIDENCE, clock=clock)
    edit(local, "1.6.9", status="in model")
    with pytest.raises(TrackerDrift, match=r"1\.6\.9 status: plan 'validated', .*tracker 'in model'"):
        check(con, local, PLAN, EVIDENCE, clock=clock)


def test_the_gate_shuts_on_a_plan_that_claims_more_than_its_evidence(
    con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock
) -> None:
    boast = {**PLAN, "1.6.9": {**PLAN["1.6.9"], "status": "in model"}}
    done = sync(con, local, boast, EVIDENCE, clock=clock)
    assert {d.why for d in done.left if d.code == "1.6.9" and d.field == "status"} == {"plan without evidence"}
    assert "1.6.9" not in local.read()  # an unfounded claim is not sent
    with pytest.raises(TrackerDrift, match="plan without evidence"):
        check(con, local, boast, EVIDENCE, clock=clock)


def test_each_difference_says_why(con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock, ask: Ask) -> None:
    sync(con, local, PLAN, EVIDENCE, clock=clock)
    edit(local, "1.6.9", name="Renaming")
    newer = {**PLAN, "1.6.10": {**PLAN["1.6.10"], "hours": 7.0, "name": "Technical IDX"}, "2.1": {"name": "Lags"}}
    ask("1.6.10", name="Technical IDX")
    assert whys(con, local, newer) == {
        "1.6.9 name": "changed in the tracker",
        "1.6.10 hours": "not sent",
        "1.6.10 name": "waiting",
        "2.1 name": "not in the tracker",
    }
    rows = local._load()
    local._save([row for row in rows if row["code"] != "1.6.10"])
    assert whys(con, local)["1.6.10 hours"] == "deleted in the tracker"
    local._save([*rows, next(row for row in rows if row["code"] == "1.6.10")])
    assert {v for k, v in whys(con, local).items() if k.startswith("1.6.10 ")} == {"2 records"}


def test_sync_leaves_others_words_until_told(
    con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock, letters: Letters
) -> None:
    sync(con, local, PLAN, EVIDENCE, clock=clock)
    edit(local, "1.6.9", name="Renaming")
    done = sync(con, local, PLAN, EVIDENCE, clock=clock)
    assert [str(d) for d in done.left] == [
        "1.6.9 name: plan 'Table renaming', tracker 'Renaming' (changed in the tracker)"
    ]
    assert local.read()["1.6.9"].fields["name"] == "Renaming"
    with pytest.raises(UsageError, match=r"no record 9\.9"):
        sync(con, local, PLAN, EVIDENCE, overwrite=["9.9"], clock=clock)
    done = sync(con, local, PLAN, EVIDENCE, overwrite=["1.6.9"], clock=clock)
    assert (done.left, local.read()["1.6.9"].fields["name"]) == ([], "Table renaming")
    check(con, local, PLAN, EVIDENCE, clock=clock)
    local._save([row for row in local._load() if row["code"] != "1.6.9"])
    assert {d.why for d in sync(con, local, PLAN, EVIDENCE, clock=clock).left} == {"deleted in the tracker"}
    assert sync(con, local, PLAN, EVIDENCE, overwrite=["1.6.9"], clock=clock).left == []


def test_a_replayed_change_does_not_undo_a_later_one(
    con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock, ask: Ask, letters: Letters
) -> None:
    sync(con, local, PLAN, EVIDENCE, clock=clock)
    edit(local, "1.6.9", name="Renaming")
    ask("1.6.9", name="older", hours=2.0)
    deliver(con, local, clock=clock)
    ask("1.6.9", hours=3.0)
    deliver(con, local, clock=clock)
    assert letters()[-2:] == [("dead", "BQX716"), ("delivered", None)]
    edit(local, "1.6.9", name="Table renaming")  # put right by hand
    assert box.replay(con) == 1
    deliver(con, local, clock=clock)
    fields = local.read()["1.6.9"].fields
    assert (fields["name"], fields["hours"]) == ("older", 3.0)
    assert letters()[-2:] == [("delivered", None)] * 2


def test_a_dead_letter_given_up_stays_in_the_record(
    con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock, ask: Ask, letters: Letters
) -> None:
    sync(con, local, PLAN, EVIDENCE, clock=clock)
    edit(local, "1.6.9", name="Renaming")
    row = ask("1.6.9", name="ours")
    deliver(con, local, clock=clock)
    assert box.drop(con, [row], "theirs is better", clock.now_us()) == 1
    assert letters()[-1] == ("dropped", "BQX716")
    assert con.execute("SELECT reason FROM tracker_outbox WHERE id = ?", (row,)).fetchone() == ("theirs is better",)
    with pytest.raises(TrackerDrift, match="changed in the tracker"):
        check(con, local, PLAN, EVIDENCE, clock=clock)


def test_one_at_a_time_delivers(con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock, ask: Ask) -> None:
    ask("1.6.9", name="mine")
    with delivering(con) as mine:
        assert mine
        out = deliver(con, local, clock=clock)
        assert (out.delivered, out.waiting) == ([], 1)
    assert deliver(con, local, clock=clock).delivered == [1]


def test_nothing_is_sent_inside_a_transaction(con: sqlite3.Connection, local: LocalTracker, ask: Ask) -> None:
    ask("1.6.9", name="mine")
    con.execute("BEGIN")
    with pytest.raises(UsageError, match="not sent inside a transaction"):
        deliver(con, local)
    con.execute("ROLLBACK")
    assert local.read() == {}


def test_a_payload_that_became_a_secret_later_is_not_sent(
    con: sqlite3.Connection, local: LocalTracker, clock: TurnedClock, ask: Ask, letters: Letters
) -> None:
    from bqx.base.secret import Secret

    ask("1.6.9", notes="the swan flies at noon")
    Secret("the swan flies at noon")
    deliver(con, local, clock=clock)
    assert letters() == [("dead", "BQX719")]
    assert local.read() == {}


def test_another_base_is_another_tracker(airtable: Airtable, con: sqlite3.Connection, clock: TurnedClock) -> None:
    plan = {"1.6.9": {"name": "Renaming", "status": "defined"}}
    sync(con, airtable.tracker(), plan, clock=clock)
    table = WatchedTable(stages())
    airtable.site = airtable.fake.serve(Base({"Stages": table}), airtable.token)
    with pytest.raises(TrackerStale, match="no sync yet"):
        check(con, airtable.tracker(), plan, clock=clock)
    assert sync(con, airtable.tracker(), plan, clock=clock).left == []
    assert [f["Stage Name"] for f in table.records.values()] == ["Renaming"]
    check(con, airtable.tracker(), plan, clock=clock)


def test_an_unreachable_tracker_shuts_the_gate_and_records_no_sync(
    airtable: Airtable, con: sqlite3.Connection, clock: TurnedClock
) -> None:
    tracker = airtable.tracker()
    plan = {"1.6.9": {"name": "Renaming", "status": "defined"}}
    assert sync(con, tracker, plan, clock=clock).left == []
    at = last_sync(con, tracker)
    airtable.site.fault = lambda method, number: "503"
    with pytest.raises(TrackerUnreachable):
        check(con, tracker, plan, clock=clock)
    newer = {"1.6.9": {"name": "Table renaming", "status": "defined"}}
    con.execute("BEGIN")
    from bqx.ops.tracker.outbox import enqueue

    enqueue(con, code="1.6.9", fields=newer["1.6.9"], made_at=clock.now_us())
    con.execute("COMMIT")
    done = sync(con, tracker, newer, clock=clock)
    assert isinstance(done.delivery.problem, TrackerUnreachable)
    assert (done.at, last_sync(con, tracker), done.delivery.waiting) == (None, at, 1)
