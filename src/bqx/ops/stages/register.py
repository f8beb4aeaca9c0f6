"""Risks, lessons, approvals and blockers of a project: those of its plan and those it added."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bqx.base.errors import UsageError
from bqx.base.runlog import current_run
from bqx.ops.plan.fields import Fields
from bqx.ops.plan.model import Blocker, Plan
from bqx.ops.plan.register import as_row, blocker, register_from
from bqx.ops.stages.state import PlanState
from bqx.store.known import now_us

KINDS = ("risk", "lesson", "approval", "blocker")


def add_file(plan: Plan, state: PlanState, path: Path) -> dict[str, list[str]]:
    """Add what a YAML file holds, all or nothing; kind -> ids. Raises PlanError, and UsageError for an id that exists
    as a blocker: those are history and are closed, not replaced."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", where=path.name) from error
    found = register_from(text, path.name, plan.stages)
    rows: dict[str, tuple[Any, ...]] = {
        "risk": found.risks,
        "lesson": found.lessons,
        "approval": found.approvals,
        "blocker": found.blockers,
    }
    taken = {b.id for b in blockers_of(plan, state)}
    if again := [b.id for b in found.blockers if b.id in taken]:
        raise UsageError(f"blocker {again[0]!r} exists already", where=path.name, fix="give it another id")
    with state.transaction() as con:
        for kind, items in rows.items():
            for item in items:
                values = (kind, item.id, json.dumps(as_row(item)), now_us(), current_run().run_id)
                con.execute("INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?)", values)
    return {kind: [item.id for item in items] for kind, items in rows.items() if items}


def rows_of(plan: Plan, state: PlanState | None, kind: str) -> list[dict[str, Any]]:
    """The plan's and the project's of a kind, JSON-able; a project's replaces the plan's of the same id."""
    own = {"risk": plan.register.risks, "lesson": plan.register.lessons, "approval": plan.register.approvals}
    rows = {row["id"]: row for row in map(as_row, own[kind])}
    rows |= {row["id"]: row for row in (state.items(kind) if state is not None else [])}
    return list(rows.values())


def blockers_of(plan: Plan, state: PlanState | None) -> tuple[Blocker, ...]:
    """The plan's and the project's."""
    from datetime import date

    added = []
    for row in state.items("blocker") if state is not None else []:
        raw = {**row, "opened": date.fromisoformat(row["opened"])}
        added.append(blocker(Fields(raw, f"plan.sqlite, blocker {row['id']}"), plan.stages))
    return (*plan.register.blockers, *added)
