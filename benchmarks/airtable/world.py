"""One randomised run: changes, people, faults and deaths, against a served base; then the judge."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.airtable.base import new_id
from benchmarks.airtable.judge import FIELDS, Row, judge
from benchmarks.airtable.plan_base import OPTIONS, plan_base
from benchmarks.airtable.server import FakeAirtable, Site
from benchmarks.airtable.watched import WatchedTable
from bqx.base.errors import SecretError
from bqx.base.secret import Secret
from bqx.ops.tracker import schema
from bqx.ops.tracker.airtable import AirtableTracker
from bqx.ops.tracker.clock import Clock
from bqx.ops.tracker.delivery import deliver
from bqx.ops.tracker.limiter import Limiter
from bqx.ops.tracker.mapping import TrackerMap
from bqx.ops.tracker.outbox import Value, enqueue
from bqx.ops.tracker.port import Change

CODES = ("1.6.1", "1.6.10", "1.6.11", "1.6.19", "1.6.9", "1.6.9a", "1.7.1", "1.8.3", "11.6.1", "1.6")
NEW = ("2.1", "2.10", "3.1.1", "31.1")
FAULTS = ("429", "500", "502", "503", "cut", "cut-after", "late", "slow", "edit", "edit", "edit")


class Died(BaseException):
    """Stands for a process that is no more: no handler runs on."""


class TurnedClock:
    """Time that passes only by waiting."""

    def __init__(self, at_us: int = 1_800_000_000_000_000) -> None:
        self._us = at_us

    def now_us(self) -> int:
        self._us += 1
        return self._us

    def monotonic(self) -> float:
        return self._us / 1e6

    def sleep(self, seconds: float) -> None:
        self._us += int(seconds * 1e6)


class Vault:
    """A secrets provider that holds what it is given."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def get(self, name: str) -> Secret:
        if name not in self._values:
            raise SecretError(f"no secret {name!r}")
        return Secret(self._values[name])

    def probe(self) -> str:
        return f"{len(self._values)} secrets in memory"


def new_token() -> str:
    """A made-up token of Airtable's form, put together when it is used."""
    return ".".join((new_id("pat"), "0123456789abcdef" * 4))


class Mortal(sqlite3.Connection):
    """Dies before the statement that `dies_in` counts down to; tells `kept` what is remembered of the tracker."""

    dies_in = -1
    kept: Callable[[list[tuple[str, str]]], None] | None = None
    _pending: list[tuple[str, str]]

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self._live()
        found = super().execute(sql, *parameters)
        if sql.startswith("BEGIN"):
            self._pending = []
        elif sql == "COMMIT" and self.kept is not None:
            self.kept(self._pending)
        return found

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        self._live()
        if "INTO tracker_seen" in sql:
            self._pending += [(row[1], row[2]) for row in rows]
        return super().executemany(sql, rows)

    def _live(self) -> None:
        self.dies_in -= 1
        if self.dies_in == 0:
            raise Died


class MortalTracker(AirtableTracker):
    """Dies just before or just after a write."""

    dies: str = ""

    def __init__(self, *given: Any, clock: Clock, **more: Any) -> None:
        super().__init__(*given, clock=clock, **more)
        self._limiter = Limiter(clock)  # as in a process of its own, which knows nothing of the one before

    def write(self, changes: Any) -> None:
        if self.dies == "before":
            raise Died
        super().write(changes)
        if self.dies == "after":
            raise Died


class World:
    """A run with everything in it by `rng`."""

    def __init__(self, fake: FakeAirtable, rng: random.Random, clock: Clock, path: Path) -> None:
        self.rng, self.clock, self.path, self.fake = rng, clock, path, fake
        self.token, self.asked, self.serial = new_token(), [], 0
        base = plan_base(rng, CODES, rng.choice((0, 20, 60, 160)))
        if rng.random() < 0.3:  # a code that two records bear from the start
            base.tables["Stages"].add({"Stage Code": f"BQX-{rng.choice(CODES)}", "Status": "Todo"})
        self.table = WatchedTable(base.tables["Stages"])
        base.tables["Stages"] = self.table
        self.before = Counter(str(f.get("Stage Code")) for f in self.table.records.values())
        self.site: Site = fake.serve(base, self.token)
        self.contacts: dict[tuple[str, str], int] = {}
        self.vault = Vault(**{"airtable-token": self.token, "airtable-base": base.id})
        self.mapping = TrackerMap.load()
        self.lost_until, self.rate = -1, rng.choice((0.0, 0.05, 0.2, 0.4))
        self.deaths = 0
        con = self._open()
        for step in schema.STEPS:
            step(con)
        con.commit()
        con.close()

    def run(self) -> Row:
        """Play, then calm down, then judge."""
        for _ in range(self.rng.randint(1, 4)):
            self._ask()
            self.site.fault = self._fault
            if self.rng.random() < 0.5:
                self._person()
            self._deliver(mortal=True)
        self.site.fault = lambda method, number: ""
        self.table.allow("Status", OPTIONS)
        for _ in range(4):
            self._deliver(mortal=False)
        con = self._open()
        found = judge(self.table, self.before, con, self.asked, self.contacts)
        found["problems"] += self._shown(con)
        if self.site.exceeded:
            found["problems"].append(f"{self.site.exceeded} requests beyond the limit")
        con.close()
        return {**found, "deaths": self.deaths, "requests": self.site.requests}

    def _ask(self) -> None:
        """Changes, some in a transaction that is rolled back."""
        con, kept = self._open(), self.rng.random() < 0.85
        con.execute("BEGIN")
        asked: list[tuple[str, Row]] = []
        for _ in range(self.rng.choice((1, 2, 5, 25))):
            self.serial += 1
            fields: dict[str, Value] = {"notes": f"n{self.serial}", "hours": self.serial / 4}
            if self.rng.random() < 0.7:
                fields["status"] = self.rng.choice(("defined", "schema", "populated", "validated", "frozen"))
                fields["evidence"] = f"evidence {self.serial}"
            names = self.rng.sample(sorted(fields), self.rng.randint(1, len(fields)))
            fields = {n: fields[n] for n in fields if n in names or (n == "evidence" and "status" in names)}
            code = self.rng.choice(CODES + NEW)
            enqueue(con, code=code, fields=fields, made_at=self.clock.now_us())
            asked.append((code, fields))
        con.execute("COMMIT" if kept else "ROLLBACK")
        con.close()
        self.asked += asked if kept else []

    def _deliver(self, *, mortal: bool) -> None:
        """A process of its own: what it knew is in the database, or lost. It takes a second to start."""
        self.clock.sleep(1.1)
        con = self._open()
        con.kept = self._kept
        tracker = MortalTracker(
            self.vault,
            self.mapping,
            endpoint=self.fake.url,
            clock=self.clock,
            timeout_s=(2.0, 0.25),
            rng=self.rng,
        )
        if mortal and self.rng.random() < 0.4:
            con.dies_in = self.rng.randint(5, 120)
        elif mortal and self.rng.random() < 0.3:
            tracker.dies = self.rng.choice(("before", "after"))
        try:
            deliver(con, tracker, clock=self.clock)
        except Died:
            self.deaths += 1
        finally:
            con.dies_in = -1
            con.close()  # what was not committed is gone

    def _kept(self, fields: list[tuple[str, str]]) -> None:
        for code, name in fields:
            if name in FIELDS:
                self.contacts.setdefault((f"BQX-{code}", FIELDS[name]), len(self.table.events))

    def _fault(self, method: str, number: int) -> str:
        """Called by the server, under the base's lock."""
        if number < self.lost_until:
            return self.rng.choice(("401", "403"))
        if self.rng.random() >= self.rate:
            return ""
        if self.rng.random() < 0.03:
            self.lost_until = number + self.rng.randint(2, 6)
        fault = self.rng.choice(FAULTS)
        if fault == "edit":
            self._person()
            return ""
        return fault if fault != "late" or self.rng.random() < 0.2 else "cut-after"

    def _person(self) -> None:
        """Somebody edits, copies, removes, or takes an option away."""
        codes = {f"BQX-{code}" for code in CODES + NEW}
        mine = [key for key, f in self.table.records.items() if f.get("Stage Code") in codes]
        record, dice = self.rng.choice(mine), self.rng.random()
        self.serial += 1
        if dice < 0.30:
            self.table.edit(record, "Assigned To", f"person {self.serial}")
        elif dice < 0.50:
            self.table.edit(record, "Notes", f"p{self.serial}")
        elif dice < 0.70:
            self.table.edit(record, "Status", self.rng.choice(("Blocked", "Review")))
        elif dice < 0.80:
            self.table.edit(self.rng.choice(list(self.table.records)), "Assigned To", f"person {self.serial}")
        elif dice < 0.88:
            self.table.make({"Stage Code": f"BQX-{self.rng.choice(CODES + NEW)}", "Status": "Review"})
        elif dice < 0.95:
            self.table.remove(record)
        else:
            self.table.allow("Status", tuple(o for o in OPTIONS if o != self.rng.choice(OPTIONS)))

    def _shown(self, con: sqlite3.Connection) -> list[str]:
        """Token, base id and record ids must be nowhere in the database."""
        text = "\n".join(con.iterdump())
        ids = [self.token, self.site.base.id, self.table.id, *self.table.records]
        return [f"shown in the database: an id of {value[:3]}" for value in ids if value in text]

    def _open(self) -> Mortal:
        con = sqlite3.connect(self.path, factory=Mortal, isolation_level=None)
        con.execute("PRAGMA synchronous = OFF")  # deaths here are of the process, not of the machine
        return con


__all__ = ["Change", "TurnedClock", "Vault", "World", "new_token"]
