"""Verification in a session of its own, from the ledger: after a run, after a crash, or a year later."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bqx.base.errors import MigrationSpecError
from bqx.base.secret import Secret
from bqx.store.migrate import checks
from bqx.store.migrate.access import access
from bqx.store.migrate.batch import Told
from bqx.store.migrate.catalogue import read_inventory, read_relations
from bqx.store.migrate.checks import Check
from bqx.store.migrate.connect import connect, told
from bqx.store.migrate.ledger import Entry, Ledger
from bqx.store.migrate.live import read_plan
from bqx.store.migrate.plan import TABLE_KINDS, Plan
from bqx.store.migrate.rows import Rows, count_rows, sample

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Verified:
    """Verdicts, rows a group now, and how long it took. state : applied or rolled_back, whichever was verified."""

    migration: str
    state: str
    checks: tuple[Check, ...]
    rows: dict[str, int]
    counted: str
    seconds: float

    @property
    def passed(self) -> bool:
        return all(c.passed is not False for c in self.checks)

    def as_dict(self) -> dict[str, Any]:
        return {
            "migration": self.migration,
            "state": self.state,
            "passed": self.passed,
            "rows": self.rows,
            "counted": self.counted,
            "seconds": self.seconds,
            "checks": [c.as_dict() for c in self.checks],
        }


def verify(
    dsn: Secret | str, plan: Plan, *, rows: Rows = "exact", record: bool = True, progress: Told | None = None
) -> Verified:
    """V1-V9 against what the ledger says was done; the verdict is added to the ledger unless `record` is off.

    MigrationSpecError when nothing of the migration was done.
    """
    clock = time.perf_counter()
    with told("verify"), connect(dsn) as con:
        ledger = Ledger(con, plan.spec.ledger_schema)
        entries = list(ledger.entries(plan.migration).values())
        views = ledger.views(plan.migration)
        state = "rolled_back" if any(e.state == "rolled_back" for e in entries) else "applied"
        if any(e.state == "applied" for e in entries):
            state = "applied"
        mine = [e for e in entries if e.state == state]
        if not mine:
            raise MigrationSpecError(
                f"nothing of {plan.migration} was applied", where=f"schema {plan.spec.ledger_schema}", fix="apply it"
            )
        found, how, same = _count(dsn, con, plan, mine, rows, progress)
        verdicts = _verdicts(con, plan, ledger, mine, views, state)
        if rows == "skip":
            v5 = Check("V5", "rows", "SELECT count(*) FROM ONLY each table", "not asked", "rows were not counted", None)
        else:
            v5 = checks.rows(mine, found, how, same, plan.spec.expect.rows if how == "exact" else {})
        verdicts.insert(4, v5)
        groups: dict[str, int] = {}
        for e in mine:
            if e.oid in found and e.kind in TABLE_KINDS:
                groups[e.group] = groups.get(e.group, 0) + found[e.oid]
        out = Verified(plan.migration, state, tuple(verdicts), groups, how, time.perf_counter() - clock)
        if record:
            ledger.add(plan, "verified" if state == "applied" else "rollback-verified", out.as_dict())
    return out


def _count(
    dsn: Secret | str,
    con: psycopg.Connection[Any],
    plan: Plan,
    mine: Sequence[Entry],
    rows: Rows,
    progress: Told | None,
) -> tuple[dict[int, int], str, bool | None]:
    """Rows by OID, in words how they were counted, and (fast) whether files and sizes are the same."""
    leaves = [e for e in mine if e.kind in TABLE_KINDS and e.before and e.before["kind"] == "r"]
    leaves.sort(key=lambda e: e.oid)
    if rows == "skip":
        return {}, "not counted", None
    now = read_relations(con, [e.oid for e in leaves])
    same: bool | None = None
    how = "exact"
    if rows == "fast":
        same = all(
            e.oid in now
            and e.before is not None
            and (now[e.oid].filenode, now[e.oid].size) == (e.before["filenode"], e.before["size"])
            for e in leaves
        )
        counted = [e for e in leaves if e.before and e.before["rows"] is not None]
        whole = len(counted) == len(leaves)
        chosen = set(sample([e.oid for e in counted], plan.digest)) if whole else {e.oid for e in counted}
        leaves = [e for e in counted if e.oid in chosen]
        how = f"storage of all the same, {len(leaves)} sampled"
    tables = [(e.oid, now[e.oid].name) for e in leaves if e.oid in now]
    done = [0]

    def hear(n: int) -> None:
        done[0] += n
        if progress is not None:
            progress("counted", done[0], len(tables))

    return count_rows(lambda: connect(dsn), plan.spec.schema_name, tables, told=hear), how, same


def _verdicts(
    con: psycopg.Connection[Any],
    plan: Plan,
    ledger: Ledger,
    mine: Sequence[Entry],
    views: dict[int, str],
    state: str,
) -> list[Check]:
    """All but V5, in order."""
    direction = Plan(plan.spec, plan.steps, others=plan.others, direction="apply" if state == "applied" else "rollback")
    after = read_relations(con, [e.oid for e in checks.tables_of(mine)])
    now = read_inventory(con, plan.spec.schema_name)
    again = read_plan(con, plan.spec, ledger)
    pending = [s.old for s in again.pending]
    if state == "applied":
        twice = checks.make(
            "V9", "idempotence", "the plan, made again", "0 steps", f"{len(pending)} steps",
            [f"{name} would be renamed" for name in pending],
        )  # fmt: skip
    else:
        held = [e.new for e in ledger.entries(plan.migration).values() if e.state == "applied"]
        twice = checks.make(
            "V9", "idempotence", "the rollback, planned again", "0 steps", f"{len(held)} steps",
            [f"{name} would be taken back" for name in held],
        )  # fmt: skip
    return [
        checks.identity(mine, after),
        checks.numbers(direction, again),
        checks.residue(direction, mine, now, views),
        checks.partitions(direction, mine, after, now),
        checks.names(direction, mine, now),
        checks.dependent(con, direction, mine),
        access(con, plan, mine),
        twice,
    ]
