"""Where a migration stands, by the catalogue and the ledger together, not by what somebody wrote down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bqx.base.secret import Secret
from bqx.store.migrate.connect import connect, told
from bqx.store.migrate.ledger import Ledger
from bqx.store.migrate.live import read_plan
from bqx.store.migrate.operating import at_work
from bqx.store.migrate.plan import TABLE_KINDS, Plan


@dataclass(frozen=True)
class Status:
    """state : not started, running, interrupted, failed, partial, applied, rolled back, or applied elsewhere.

    done, pending, missing : tables under their new names, under old ones, and in the ledger but gone.
    """

    migration: str
    state: str
    done: int
    in_ledger: int
    pending: int
    conflicts: int
    missing: int
    objects_done: int
    operator: str | None
    events: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "migration": self.migration,
            "state": self.state,
            "tables_done": self.done,
            "tables_in_ledger": self.in_ledger,
            "tables_pending": self.pending,
            "conflicts": self.conflicts,
            "missing": self.missing,
            "objects_done": self.objects_done,
            "operator": self.operator,
            "events": list(self.events),
        }


def status(dsn: Secret | str, plan: Plan) -> Status:
    """Look; changes nothing."""
    with told("status"), connect(dsn) as con:
        spec = plan.spec
        ledger = Ledger(con, spec.ledger_schema)
        now = read_plan(con, spec, ledger, names_only=True)
        entries = ledger.entries(spec.migration)
        events = ledger.events(spec.migration)
        operator = at_work(con, spec.schema_name, spec.migration)
        there = {s.oid for s in now.steps}
        gone = [e for e in entries.values() if e.state == "applied" and e.kind in TABLE_KINDS and e.oid not in there]
        last = next((e.kind for e in reversed(events) if not e.kind.endswith("verified")), "")
        done = [s for s in now.tables if s.state == "done"]
        return Status(
            spec.migration,
            word(last, operator, len(done), len(now.pending), bool(entries)),
            len(done),
            sum(s.evidence == "ledger" for s in done),
            sum(s.state == "pending" for s in now.tables),
            sum(s.state == "conflict" for s in now.steps),
            len(gone),
            sum(e.state == "applied" for e in entries.values()),
            operator,
            tuple({"kind": e.kind, "at": e.at.isoformat(), "actor": e.actor, "run_id": e.run_id} for e in events),
        )


def known(dsn: Secret | str, ledger_schema: str, migration: str) -> Plan:
    """The plan of a migration by its id, from the ledger."""
    with told("ledger"), connect(dsn) as con:
        return Ledger(con, ledger_schema).plan(migration)


def migrations(dsn: Secret | str, ledger_schema: str) -> list[str]:
    """Ids the ledger has."""
    with told("ledger"), connect(dsn) as con:
        return Ledger(con, ledger_schema).migrations()


def word(last: str, operator: str | None, done: int, pending: int, known: bool) -> str:
    """The state, from the last event that is no verification and from what the catalogue shows."""
    if operator is not None:
        return "running"
    kind = last.removeprefix("rollback-")
    if last == "rollback-finished":
        return "rolled back"
    if kind in ("started", "batch"):
        return "interrupted"
    if kind == "failed":
        return "failed"
    if kind == "finished":
        return "applied" if not pending else "partial"
    if done and not pending:
        return "applied elsewhere"
    return "partial" if done and known else "not started"
