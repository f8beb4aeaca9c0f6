"""What a report tells, gathered from the ledger alone: nothing is remembered elsewhere, nothing is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bqx.base.errors import MigrationSpecError
from bqx.base.runlog import current_run
from bqx.base.version import __version__
from bqx.store.migrate.batch import Done
from bqx.store.migrate.checks import Check
from bqx.store.migrate.ledger import Entry, Event, Ledger
from bqx.store.migrate.plan import TABLE_KINDS, Plan


@dataclass(frozen=True)
class Group:
    """One group's figures. before, after : exact rows, None where not counted; ddl : seconds of renaming."""

    name: str
    tables: int
    parents: int
    partitions: int
    objects: int
    before: int | None
    after: int | None
    ddl: float | None


@dataclass(frozen=True)
class Facts:
    """One migration as it stands. seconds : by phase, summed over batches; checks : of the last verification."""

    plan: Plan
    state: str
    target: str
    operator: str
    run_id: str
    tool: str
    started: datetime | None
    finished: datetime | None
    mode: str
    batches: int
    retries: int
    applied: bool
    groups: tuple[Group, ...]
    seconds: Mapping[str, float]
    locked: float
    inside: tuple[Check, ...]
    checks: tuple[Check, ...]
    counted: str
    events: tuple[Event, ...]
    ledger_hash: str
    named: Mapping[str, int] = field(default_factory=dict)


def gather(ledger: Ledger, plan: Plan, target: str) -> Facts:
    """Facts of the last apply (or rollback) of `plan`'s migration. MigrationSpecError when it has no history."""
    events = ledger.events(plan.migration)
    if not events:
        raise MigrationSpecError(
            f"the ledger has nothing of {plan.migration}",
            where=f"schema {ledger.schema}",
            fix="`bqx migrate apply` writes it; a dry run prints its figures itself",
        )
    entries = list(ledger.entries(plan.migration).values())
    return facts(plan, events, entries, ledger.digest(plan.migration), target)


def facts(plan: Plan, events: Sequence[Event], entries: Sequence[Entry], digest: str, target: str) -> Facts:
    """The same from what was read."""
    back = any(e.state == "rolled_back" for e in entries) and not any(e.state == "applied" for e in entries)
    prefix = "rollback-" if back else ""
    mine = [e for e in entries if e.state == ("rolled_back" if back else "applied")]
    batches = _since_last_undoing(events, prefix)
    finished = next((e for e in reversed(events) if e.kind == f"{prefix}finished"), None)
    begun = [e for e in events if e.kind == f"{prefix}started" and (not batches or e.id < batches[0].id)]
    started = begun[-1] if begun else None
    looked = [e for e in events if e.kind == f"{prefix}verified" and batches and e.id > batches[0].id]
    verified = looked[-1] if looked else None
    whole = next((e for e in reversed(looked) if e.detail["counted"] == "exact"), None)
    seconds: dict[str, float] = {}
    for b in batches:
        for phase, value in b.detail["seconds"].items():
            seconds[phase] = seconds.get(phase, 0.0) + value
    if verified is not None:
        seconds["verification"] = verified.detail["seconds"]
    last = batches[-1] if batches else events[-1]
    complete = finished is not None and bool(batches) and finished.id > batches[0].id
    return Facts(
        plan=plan,
        state=("rolled back" if back else "applied") if complete else "not finished",
        target=target,
        operator=last.actor,
        run_id=last.run_id,
        tool=last.tool,
        started=started.at if started else None,
        finished=finished.at if complete and finished else None,
        mode="atomic" if len(batches) == 1 else "batched",
        batches=len(batches),
        retries=int(finished.detail.get("retries", 0)) if finished else 0,
        applied=complete and not back,
        groups=tuple(_group(name, mine, batches, whole) for name in plan.groups),
        seconds=seconds,
        locked=sum(b.detail["locked_seconds"] for b in batches),
        inside=tuple(Check.from_dict(c) for b in batches for c in b.detail["checks"]) if len(batches) == 1 else (),
        checks=tuple(Check.from_dict(c) for c in verified.detail["checks"]) if verified else (),
        counted=seen.detail["counted"] if (seen := whole or verified) else "not verified",
        events=tuple(events),
        ledger_hash=digest,
        named=_kinds(mine),
    )


def of_dry_run(plan: Plan, batches: Sequence[Done], target: str) -> Facts:
    """Facts of a run that was rolled back, told by itself: nothing of it is in the ledger."""
    run, at = current_run(), datetime.now(UTC)
    events = [
        Event(
            n, plan.migration, plan.digest, "batch", at, "this session", run.run_id, f"bqx {__version__}", b.as_dict()
        )
        for n, b in enumerate(batches, start=1)
    ]
    found = facts(plan, events, [e for b in batches for e in b.entries], "", target)
    inside = tuple(c for b in batches for c in b.checks)
    return replace(
        found,
        state="dry run, rolled back",
        checks=inside,
        inside=(),
        counted="before",
        ledger_hash="nothing was written",
    )


def _since_last_undoing(events: Sequence[Event], prefix: str) -> list[Event]:
    """Batches of the present state: those since the direction changed last."""
    other = "batch" if prefix else "rollback-batch"
    cut = max((e.id for e in events if e.kind == other), default=0)
    return [e for e in events if e.kind == f"{prefix}batch" and e.id > cut]


def _group(name: str, entries: Sequence[Entry], batches: Sequence[Event], verified: Event | None) -> Group:
    mine = [e for e in entries if e.group == name]
    tables = [e for e in mine if e.kind in TABLE_KINDS]
    counts = [e.before["rows"] for e in tables if e.before and e.before["kind"] == "r"]
    ddl = [b.detail["groups"][name] for b in batches if name in b.detail["groups"]]
    return Group(
        name,
        len(tables),
        sum(e.kind == "parent" for e in tables),
        sum(e.kind == "partition" for e in tables),
        len(mine),
        sum(counts) if counts and None not in counts else None,
        int(verified.detail["rows"].get(name, 0)) if verified is not None else None,
        sum(ddl) if ddl else None,
    )


def _kinds(entries: Sequence[Entry]) -> dict[str, int]:
    out: dict[str, Any] = {}
    for e in entries:
        out[e.kind] = out.get(e.kind, 0) + 1
    return dict(sorted(out.items()))
