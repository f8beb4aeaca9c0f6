"""Plans against a running server: the catalogue, the ledger and what the server alone can tell, in one reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import MigrationConflict, PreflightError
from bqx.base.runlog import current_run
from bqx.store.migrate.budget import need, read_budget
from bqx.store.migrate.catalogue import read_inventory
from bqx.store.migrate.ledger import Ledger, identity
from bqx.store.migrate.plan import Finding, Plan, Step
from bqx.store.migrate.planner import make_plan
from bqx.store.migrate.preflight import look
from bqx.store.migrate.sessions import writes
from bqx.store.migrate.spec import Spec

if TYPE_CHECKING:
    import psycopg


def plan_live(con: psycopg.Connection[Any], spec: Spec, scan: Path | None = None) -> Plan:
    """The plan as things are now, with everything `apply` would stumble over; changes nothing."""
    plan = read_plan(con, spec, Ledger(con, spec.ledger_schema))
    budget = read_budget(con)
    tables = [s.oid for s in plan.tables if s.state == "pending"]
    stamped = replace(
        plan,
        made_at=datetime.now(UTC).isoformat(),
        run_id=current_run().run_id,
        server=f"PostgreSQL {con.info.server_version // 10000}",
        locks={
            "needed": need(plan.pending, views=spec.compatibility_views),
            "capacity": budget.capacity,
            "held": budget.held,
            "allowed": budget.allowed,
        },
        writes=writes(con, tables),
    )
    return replace(stamped, findings=(*plan.findings, *look(con, stamped, budget, scan)))


def read_plan(con: psycopg.Connection[Any], spec: Spec, ledger: Ledger, *, names_only: bool = False) -> Plan:
    """The plan by catalogue and ledger alone, from one snapshot; `names_only` never waits for a lock."""
    if con.info.transaction_status.name != "IDLE":
        return _read(con, spec, ledger, names_only)
    with con.transaction():
        con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return _read(con, spec, ledger, names_only)


def _read(con: psycopg.Connection[Any], spec: Spec, ledger: Ledger, names_only: bool) -> Plan:
    inventory = read_inventory(con, spec.schema_name, names_only=names_only)
    return make_plan(spec, inventory, ledger.done(spec.migration), views=ledger.views(spec.migration))


def left(plan: Plan, now: Plan) -> tuple[Step, ...]:
    """Steps of a reviewed `plan` that are still to do, as the catalogue has them `now`.

    MigrationConflict when the catalogue differs from the plan in anything but what the ledger says was done.
    """
    current = {identity(s.oid, s.kind, s.column): s for s in now.steps}
    todo, differ = [], []
    for step in plan.pending:
        found = current.pop(identity(step.oid, step.kind, step.column), None)
        if found is not None and found.state == "pending" and (found.old, found.new) == (step.old, step.new):
            todo.append(replace(found, owner=step.owner))
            if found.owner != step.owner:
                differ.append(f"{step.old} belongs to {found.owner}, not to {step.owner}")
        elif step.kind == "comment":
            continue  # done with its table, or written anew meanwhile
        elif found is not None and (found.state, found.old, found.evidence) == ("done", step.new, "ledger"):
            continue
        else:
            seen = "is gone" if found is None else f"is {found.state}, called {found.old}"
            differ.append(f"{step.old} (planned to become {step.new}) {seen}")
    planned = {identity(s.oid, s.kind, s.column) for s in plan.steps}
    differ += [f"{s.old} is new" for k, s in current.items() if s.state != "done" and k not in planned]
    if differ:
        raise MigrationConflict(
            f"the database is not as it was planned: {len(differ)} differences, first: {sorted(differ)[0]}",
            where=f"plan {plan.digest[:16]}",
            fix="plan again and review it; nothing was renamed",
        )
    return tuple(todo)


def demand(findings: list[Finding]) -> None:
    """Raise MigrationConflict or PreflightError when something stops the plan."""
    stops = [f for f in findings if f.level == "stop"]
    if not stops:
        return
    first = next((f for f in stops if f.conflict), stops[0])
    kind = MigrationConflict if first.conflict else PreflightError
    more = f"; and {len(stops) - 1} more findings" if len(stops) > 1 else ""
    where = f"{first.case} {first.where}".strip()
    raise kind(f"{first.what}{more}", where=where, fix=first.fix or "see `bqx migrate plan`")
