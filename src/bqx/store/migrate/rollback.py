"""Take a migration back by OID: the ledger read backwards, under the same checks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bqx.base.errors import MigrationConflict
from bqx.base.runlog import current_run
from bqx.base.secret import Secret
from bqx.store.migrate.apply import DEFAULTS, Options, Result, carry_out
from bqx.store.migrate.batch import Job
from bqx.store.migrate.budget import batches, read_budget
from bqx.store.migrate.catalogue import read_inventory, read_relations
from bqx.store.migrate.connect import connect, told
from bqx.store.migrate.inventory import KINDS, Inventory
from bqx.store.migrate.ledger import Entry, Ledger
from bqx.store.migrate.live import demand
from bqx.store.migrate.operating import operating
from bqx.store.migrate.plan import Plan, Step
from bqx.store.migrate.preflight import busy
from bqx.store.migrate.verify import verify


def rollback(dsn: Secret | str, plan: Plan, options: Options = DEFAULTS) -> Result:
    """Give every object the ledger has as applied its old name again; compatibility views go.

    MigrationConflict when something else took an old name, or an object was renamed again since.
    """
    clock = time.perf_counter()
    result = Result(plan.migration, "rollback")
    with told("rollback"), connect(dsn) as con, operating(con, plan.spec.schema_name, plan.migration):
        ledger = Ledger(con, plan.spec.ledger_schema)
        entries = list(ledger.entries(plan.migration).values())
        applied = [e for e in entries if e.state == "applied"]
        if not applied:
            result.nothing = True
            result.evidence = {"rolled_back": sum(e.state == "rolled_back" for e in entries)}
            return result
        inventory = read_inventory(con, plan.spec.schema_name)
        back = inverse(plan, applied)
        views = ledger.views(plan.migration)
        _refuse(back, inventory, set(views))
        owners = read_relations(con, [s.oid for s in back.tables])
        back = replace(
            back,
            steps=tuple(replace(s, owner=owners[s.table].owner) for s in back.steps),
            made_at=datetime.now(UTC).isoformat(),
            run_id=current_run().run_id,
        )
        budget = options.budget or read_budget(con)
        demand(busy(con, back))
        job = Job(back, lambda: connect(dsn), options.rows, options.dry_run, options.told, views)
        carry_out(con, job, batches(back, budget, options.mode or plan.spec.mode), options, result)
    if result.applied and options.verify:
        result.verified = verify(dsn, plan, rows=options.rows, progress=options.told)
    result.seconds = time.perf_counter() - clock
    return result


def inverse(plan: Plan, applied: Sequence[Entry]) -> Plan:
    """The plan that takes `applied` back."""
    units = {s.oid: s.unit for s in plan.steps if s.is_table}
    steps = [
        Step(
            e.oid, e.kind, e.table, e.new, e.old, e.group, units.get(e.table, e.table), e.schema, column=e.column
        )
        for e in applied
    ]  # fmt: skip
    held = {(s.space, s.old) for s in steps}
    steps = [
        replace(s, via=f"bqx_via_{s.oid}" if s.kind != "comment" and (s.space, s.new) in held else "") for s in steps
    ]
    ordered = sorted(steps, key=lambda s: (s.group, s.unit, not s.is_table, s.oid, s.kind, s.column))
    return Plan(plan.spec, tuple(ordered), server=plan.server, others=plan.others, direction="rollback")


def _refuse(back: Plan, inventory: Inventory, views: set[int]) -> None:
    """Raise MigrationConflict unless every object is where the ledger left it and its old name is free."""
    now = {r.oid: r.name for r in inventory.relations} | {p.oid: p.name for p in inventory.parts if p.kind != "comment"}
    moving = {(s.space, s.old) for s in back.steps}
    wrong = []
    for s in back.steps:
        if s.kind == "comment":
            continue
        if now.get(s.oid) != s.old:
            wrong.append(f"{s.old} is {now.get(s.oid, 'gone')}" if s.oid in now else f"{s.old} is gone")
        holder = inventory.names.get(s.new) if s.space[0] == "relation" else None
        if holder is not None and holder.oid not in views and (s.space, s.new) not in moving:
            wrong.append(f"{s.new} is taken by a {KINDS.get(holder.kind, holder.kind)}")
    if wrong:
        raise MigrationConflict(
            f"{len(wrong)} objects cannot be taken back, first: {sorted(wrong)[0]}",
            where=f"migration {back.migration}",
            fix="move aside what took an old name; what is gone cannot come back. Nothing was renamed",
        )
