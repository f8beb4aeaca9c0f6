"""Databases with an outbox, clocks that are turned by hand, and a base served on this machine."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks.airtable.base import Base
from benchmarks.airtable.plan_base import stages
from benchmarks.airtable.server import FakeAirtable, Site
from benchmarks.airtable.watched import WatchedTable
from benchmarks.airtable.world import TurnedClock, Vault, new_token

from bqx.ops.tracker import schema
from bqx.ops.tracker.airtable import AirtableTracker
from bqx.ops.tracker.mapping import TrackerMap
from bqx.ops.tracker.outbox import Value, enqueue


@pytest.fixture
def con(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database of evidence that holds nothing but its outbox."""
    found = sqlite3.connect(tmp_path / "plan.sqlite", isolation_level=None)
    found.execute("PRAGMA synchronous = OFF")
    for step in schema.STEPS:
        step(found)
    yield found
    found.close()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@dataclass
class Airtable:
    """A served base with one table, and a tracker that reaches it."""

    fake: FakeAirtable
    site: Site
    table: WatchedTable
    token: str
    clock: TurnedClock

    def tracker(self, **more: Any) -> AirtableTracker:
        vault = Vault(**{"airtable-token": self.token, "airtable-base": self.site.base.id})
        given = {"endpoint": self.fake.url, "clock": self.clock, "timeout_s": (10.0, 10.0), "rng": random.Random(1)}
        return AirtableTracker(vault, more.pop("mapping", TrackerMap.load()), **{**given, **more})

    def add(self, code: str | None, **fields: Any) -> str:
        """A record by a person's hand; field names with _ for a space."""
        named = {k.replace("_", " "): v for k, v in fields.items()}
        return self.table.add({**({} if code is None else {"Stage Code": f"BQX-{code}"}), **named})

    def of(self, code: str) -> list[dict[str, Any]]:
        return [f for f in self.table.records.values() if f.get("Stage Code") == f"BQX-{code}"]


@pytest.fixture
def airtable(clock: TurnedClock) -> Iterator[Airtable]:
    table, token = WatchedTable(stages()), new_token()
    with FakeAirtable(clock.monotonic, late_s=0.7) as fake:
        yield Airtable(fake, fake.serve(Base({"Stages": table}), token), table, token, clock)


Ask = Callable[..., int]


@pytest.fixture
def ask(con: sqlite3.Connection, clock: TurnedClock) -> Ask:
    """Queue a change in a transaction of its own: ``ask("1.6.1", status="schema")``."""

    def ask(code: str, **fields: Value) -> int:
        con.execute("BEGIN")
        row = enqueue(con, code=code, fields=fields, made_at=clock.now_us())
        con.execute("COMMIT")
        return row

    return ask


def statuses(con: sqlite3.Connection) -> list[tuple[str, str | None]]:
    return con.execute("SELECT status, error FROM tracker_outbox ORDER BY id").fetchall()


@pytest.fixture
def letters(con: sqlite3.Connection) -> Callable[[], list[tuple[str, str | None]]]:
    """Status and error of every change, in order."""
    return lambda: statuses(con)
