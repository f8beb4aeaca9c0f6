"""One body of tests, every tracker: files, a served Airtable base, and the client library's own mock."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks.airtable.base import Base
from benchmarks.airtable.plan_base import stages
from benchmarks.airtable.world import TurnedClock, Vault, new_token
from pyairtable import Api
from pyairtable.models.schema import BaseSchema
from pyairtable.testing import MockAirtable
from tracker_fixtures import Airtable, Ask

from bqx.ops.tracker.airtable import AirtableTracker
from bqx.ops.tracker.airtable_schema import columns
from bqx.ops.tracker.delivery import deliver
from bqx.ops.tracker.export import ExportTracker
from bqx.ops.tracker.local import LocalTracker
from bqx.ops.tracker.mapping import TrackerMap
from bqx.ops.tracker.outbox import Value
from bqx.ops.tracker.port import Change, Found, Tracker, same

OURS = {"Status": "status", "Notes": "notes", "Duration (Hours)": "hours", "Outcome": "evidence"}
WORDS = {"defined": "Todo", "schema": "In Progress", "validated": "Done"}


@dataclass
class Backend:
    """A tracker and a second way into it. put : a record by a person's hand; rows : what it holds of a
    code; remove : by a person's hand."""

    tracker: Tracker
    put: Callable[..., object]
    rows: Callable[[str], list[Mapping[str, Any]]]
    remove: Callable[[str], object]

    def holds(self, code: str, **fields: Value) -> bool:
        """Whether one record bears `code` and holds our `fields`."""
        rows, wanted = self.rows(code), self.tracker.shown(code, fields)
        return len(rows) == 1 and all(same(rows[0].get(n), v) for n, v in wanted.items())


class MockedTracker(AirtableTracker):
    """The library's mock knows neither whoami nor schemas: they are given."""

    def probe(self) -> str:
        api, base = Api("unused"), Base({"Stages": stages()})
        schema = BaseSchema.from_api(base.schema(), api, context={"base": api.base(base.id)})
        self._columns = {name: columns(table, schema.tables) for name, table in self._mapping.tables.items()}
        return "mock"


def _their(fields: Mapping[str, Value]) -> dict[str, Any]:
    names = {ours: theirs for theirs, ours in OURS.items()}
    return {names[n]: WORDS.get(str(v), v) if n == "status" else v for n, v in fields.items()}


def _ours(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {OURS[n]: v for n, v in fields.items() if n in OURS}


def _file(tracker: LocalTracker | ExportTracker) -> Backend:
    def put(code: str, **fields: Value) -> None:
        rows = tracker._load()
        tracker.folder.mkdir(exist_ok=True)
        tracker._save([*rows, {"code": code, **fields}])

    return Backend(
        tracker,
        put,
        lambda code: [row for row in tracker._load() if row["code"] == code],
        lambda code: tracker._save([row for row in tracker._load() if row["code"] != code]),
    )


@pytest.fixture(params=["local", "export", "airtable", "mock"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, clock: TurnedClock) -> Iterator[Backend]:
    if request.param in ("local", "export"):
        yield _file({"local": LocalTracker, "export": ExportTracker}[request.param](tmp_path / "tracker"))
    elif request.param == "airtable":
        there: Airtable = request.getfixturevalue("airtable")
        tracker = there.tracker()
        tracker.probe()
        yield Backend(
            tracker,
            lambda code, **fields: there.table.add({"Stage Code": f"BQX-{code}", **_their(fields)}),
            lambda code: [_ours(f) for f in there.of(code)],
            lambda code: there.table.remove(tracker.read([code])[code].handle),
        )
    else:
        base, token = "appMock0000000000", new_token()
        mocked = MockedTracker(
            Vault(**{"airtable-token": token, "airtable-base": base}), TrackerMap.load(), clock=clock
        )
        mocked.probe()
        with MockAirtable() as mock:
            held = mock.records[(base, "Stages")]
            yield Backend(
                mocked,
                lambda code, **fields: mock.add_records(
                    base, "Stages", [{"Stage Code": f"BQX-{code}", **_their(fields)}]
                ),
                lambda code: [
                    _ours(r["fields"]) for r in held.values() if r["fields"].get("Stage Code") == f"BQX-{code}"
                ],
                lambda code: held.pop(mocked.read([code])[code].handle),
            )


LOOK_ALIKES = ("1.6.10", "1.6.11", "1.6.19", "11.6.1", "1.6", "1.6.1 ", " 1.6.1", "1.6.1a", "BQX-1.6.1", "1.6.1'")


def test_only_the_exact_code_is_read(backend: Backend) -> None:
    for code in LOOK_ALIKES:
        backend.put(code, notes=f"of {code}")
    assert backend.tracker.read(["1.6.1"]) == {}
    backend.put("1.6.1", notes="mine")
    found = backend.tracker.read(["1.6.1"])
    assert list(found) == ["1.6.1"]
    assert (found["1.6.1"].copies, found["1.6.1"].fields["notes"]) == (1, "mine")
    assert set(backend.tracker.read()) == {"1.6.1", *LOOK_ALIKES}


def test_only_the_exact_code_is_written(
    backend: Backend, con: sqlite3.Connection, clock: TurnedClock, ask: Ask
) -> None:
    for code in LOOK_ALIKES:
        backend.put(code, notes=f"of {code}", status="defined")
    ask("1.6.1", status="validated", evidence="ev-1", hours=1.5, notes="mine")
    out = deliver(con, backend.tracker, clock=clock)
    assert (len(out.delivered), out.dead, out.waiting) == (1, [], 0)
    assert backend.holds("1.6.1", status="validated", evidence="ev-1", hours=1.5, notes="mine")
    for code in LOOK_ALIKES:
        assert backend.holds(code, notes=f"of {code}", status="defined")
        assert "evidence" not in {n for n, v in backend.rows(code)[0].items() if v}


def test_changes_of_a_code_follow_each_other_and_leave_the_rest(
    backend: Backend, con: sqlite3.Connection, clock: TurnedClock, ask: Ask
) -> None:
    backend.put("1.6.9", notes="keep", status="defined")
    for status in ("schema", "defined", "schema"):
        ask("1.6.9", status=status)
    ask("1.6.9", hours=2)
    assert deliver(con, backend.tracker, clock=clock).delivered == [1, 2, 3, 4]
    assert backend.holds("1.6.9", notes="keep", status="schema", hours=2)
    ask("1.6.9", notes=None)
    deliver(con, backend.tracker, clock=clock)
    assert backend.holds("1.6.9", notes=None, status="schema", hours=2)


def test_the_trail_says_what_was_before(
    backend: Backend, con: sqlite3.Connection, clock: TurnedClock, ask: Ask
) -> None:
    backend.put("1.6.9", notes="old", status="defined")
    ask("1.6.9", notes="new", status="defined")
    ask("2.1", notes="made")
    deliver(con, backend.tracker, clock=clock)
    rows = con.execute("SELECT code, field, before, after, effect FROM tracker_log ORDER BY code, field").fetchall()
    todo = f'"{backend.tracker.shown("1.6.9", {"status": "defined"})["status"]}"'
    assert rows == [
        ("1.6.9", "notes", '"old"', '"new"', "changed"),
        ("1.6.9", "status", todo, todo, "found"),
        ("2.1", "notes", "null", '"made"', "created"),
    ]


def test_two_records_of_a_code_are_touched_by_nothing(
    backend: Backend, con: sqlite3.Connection, clock: TurnedClock, ask: Ask, letters: Callable[[], object]
) -> None:
    backend.put("1.6.9", notes="one")
    backend.put("1.6.9", notes="two")
    backend.put("1.6.10", notes="three")
    ask("1.6.9", notes="mine")
    ask("1.6.10", notes="mine")
    out = deliver(con, backend.tracker, clock=clock)
    assert (out.delivered, out.dead) == ([2], [1])
    assert letters() == [("dead", "BQX715"), ("delivered", None)]
    assert [row["notes"] for row in backend.rows("1.6.9")] == ["one", "two"]


def test_a_record_that_somebody_removed_is_not_made_again(
    backend: Backend, con: sqlite3.Connection, clock: TurnedClock, ask: Ask, letters: Callable[[], object]
) -> None:
    ask("1.6.9", notes="mine")
    deliver(con, backend.tracker, clock=clock)
    backend.remove("1.6.9")
    assert backend.rows("1.6.9") == []
    ask("1.6.9", notes="mine again")
    deliver(con, backend.tracker, clock=clock)
    assert backend.rows("1.6.9") == []
    assert letters() == [("delivered", None), ("dead", "BQX715")]


def test_somebody_elses_words_stay(
    backend: Backend, con: sqlite3.Connection, clock: TurnedClock, ask: Ask, letters: Callable[[], object]
) -> None:
    backend.put("1.6.9", notes="old")
    ask("1.6.9", notes="ours")
    deliver(con, backend.tracker, clock=clock)
    found = backend.tracker.read(["1.6.9"])["1.6.9"]
    backend.tracker.write([Change("1.6.9", {"notes": "theirs"}, found)])  # behind the outbox's back: a person
    ask("1.6.9", notes="ours again")
    ask("1.6.9", hours=3)
    deliver(con, backend.tracker, clock=clock)
    assert backend.holds("1.6.9", notes="theirs", hours=3)
    assert letters() == [("delivered", None), ("dead", "BQX716"), ("delivered", None)]


def test_many_changes_in_batches(backend: Backend, con: sqlite3.Connection, clock: TurnedClock, ask: Ask) -> None:
    for n in range(35):
        ask(f"3.1.{n}", notes=f"note {n}")
    assert len(deliver(con, backend.tracker, clock=clock).delivered) == 35
    assert all(backend.holds(f"3.1.{n}", notes=f"note {n}") for n in range(35))


def test_nothing_to_do_reaches_for_nothing(con: sqlite3.Connection, clock: TurnedClock) -> None:
    class Silent:
        name, batch = "silent", 1

        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"{name} was called")

    out = deliver(con, Silent(), clock=clock)  # type: ignore[arg-type]
    assert (out.delivered, out.dead, out.waiting, out.problem) == ([], [], 0, None)


def test_handles_are_not_shown() -> None:
    assert "handle" not in repr(Found("1", 1, {}, "recSomething"))
