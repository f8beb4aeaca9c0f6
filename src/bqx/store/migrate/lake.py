"""The same verbs over the lake: datasets get new names in one transaction of the manifest, files stay."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bqx.base.errors import MigrationConflict, MigrationSpecError, UsageError
from bqx.base.runlog import current_run
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest
from bqx.store.migrate import checks, lake_ledger
from bqx.store.migrate.apply import Result
from bqx.store.migrate.batch import Done
from bqx.store.migrate.facts import Facts, facts
from bqx.store.migrate.lake_verify import SCHEMA, contents, entries_of, identity, names_of, residue, verify
from bqx.store.migrate.ledger import Entry
from bqx.store.migrate.live import demand, left
from bqx.store.migrate.plan import Finding, Plan, Step
from bqx.store.migrate.planner_findings import counts
from bqx.store.migrate.spec import Spec
from bqx.store.migrate.status import Status, word
from bqx.store.partition import check_dataset
from bqx.store.rename import rename


def plan(manifest: Manifest, spec: Spec) -> Plan:
    """The plan as the manifest is now; changes nothing."""
    with manifest.connection() as con:
        names = names_of(con)
    held = contents(manifest)
    done = {e.oid: e.new for e in entries_of(manifest, spec.migration) if e.state == "applied"}
    steps, findings = [], []
    for oid, name in names.items():
        found = spec.match(name)
        group = found[0][0] if found else spec.group_of_new(name)
        if len({new for _, new in found}) > 1:
            findings.append(
                Finding("rules", "stop", f"{name} is of several rules", name, "make them exclude each other")
            )
        if found:
            steps.append(Step(oid, "dataset", oid, name, found[0][1], found[0][0], oid, SCHEMA))
        elif group is not None:
            evidence = "ledger" if done.get(oid) == name else "name only"
            steps.append(Step(oid, "dataset", oid, name, name, group, oid, SCHEMA, state="done", evidence=evidence))
    steps = _conflicts(steps, names, findings)
    _strays(spec, names, steps, findings)
    for group, what, wanted, number in counts(spec, steps):
        if what == "tables" and wanted is not None and wanted != number:
            text = f"{group}: {number} datasets, expected {wanted}"
            findings.append(Finding("V2", "stop", text, group, "find what is missing"))
    for group in sorted({s.group for s in steps}):
        rows = sum(held.get(s.old, (0, 0, ""))[1] for s in steps if s.group == group)
        declared = group in spec.expect.empty
        if (rows == 0) != declared:
            text = f"{group}: {rows:,} rows, {'declared empty' if declared else 'which nobody declared'}"
            findings.append(Finding("A5.16", "stop", text, group, "mend expect: {empty: [...]}"))
    made = datetime.now(UTC).isoformat()
    ordered = tuple(sorted(steps, key=lambda s: (s.group, s.old)))
    return Plan(spec, ordered, tuple(findings), made, current_run().run_id, "lake")


def apply(lake: Lake, reviewed: Plan, *, dry_run: bool = False, back: bool = False) -> Result:
    """Rename in one transaction, with its assertions and its lines of the ledger inside; then verify.

    back : take the migration back instead. The caller holds the project's lease.
    """
    clock, manifest = time.perf_counter(), lake.manifest
    result = Result(reviewed.migration, "rollback" if back else "apply", mode="atomic")
    todo = _back(manifest, reviewed) if back else _forth(manifest, reviewed)
    if not todo:
        known = entries_of(manifest, reviewed.migration)
        result.nothing = True
        result.evidence = {"in_ledger": sum(e.state == ("rolled_back" if back else "applied") for e in known)}
        return result
    prefix, state = ("rollback-", "rolled_back") if back else ("", "applied")
    done = Done(1, 1, len(todo), len(todo))
    if not dry_run:
        with manifest.transaction() as con:
            lake_ledger.add(con, reviewed, f"{prefix}started", {"mode": "atomic", "plan": reviewed.text()})
    before = contents(manifest)
    entries = [
        Entry(
            s.oid, "dataset", s.oid, SCHEMA, s.old, s.new, s.group, "", state, 1,
            {"kind": "r", "parent": 0, "partitions": before[s.old][0], "rows": before[s.old][1],
             "content": before[s.old][2]} if s.old in before
            else {"kind": "r", "parent": 0, "partitions": 0, "rows": 0, "content": ""},
        )
        for s in todo
    ]  # fmt: skip
    done.entries = entries
    for e in entries:
        done.rows[e.group] += int((e.before or {})["rows"])
    ddl = time.perf_counter()

    def assert_and_write(con: sqlite3.Connection) -> None:
        done.seconds["ddl"] = time.perf_counter() - ddl
        for group in {s.group for s in todo}:
            done.groups[group] = done.seconds["ddl"] * sum(s.group == group for s in todo) / len(todo)
        started = time.perf_counter()
        done.checks = [identity(manifest, entries), residue(con, reviewed, entries)]
        checks.demand(done.checks)
        done.seconds["assertions"] = time.perf_counter() - started
        done.locked = time.perf_counter() - ddl
        if dry_run:
            raise _Undo
        detail = {**done.as_dict(), "entries": lake_ledger.lines(entries)}
        lake_ledger.add(con, reviewed, f"{prefix}batch", detail)
        lake_ledger.add(con, reviewed, f"{prefix}finished", {"batches": 1, "retries": 0})

    try:
        rename(manifest, {s.old: s.new for s in todo}, after=assert_and_write)
    except _Undo:
        pass
    else:
        result.applied = True
    result.batches.append(done)
    if result.applied:
        result.verified = verify(lake, reviewed, plan(manifest, reviewed.spec))
    result.seconds = time.perf_counter() - clock
    return result


def status(manifest: Manifest, reviewed: Plan) -> Status:
    """Where it stands, by the manifest; changes nothing."""
    now = plan(manifest, reviewed.spec)
    events = lake_ledger.events(manifest, reviewed.migration)
    known = entries_of(manifest, reviewed.migration)
    with manifest.connection() as con:
        there = set(names_of(con))
    last = next((e.kind for e in reversed(events) if not e.kind.endswith("verified")), "")
    done = [s for s in now.steps if s.state == "done"]
    return Status(
        reviewed.migration,
        word(last, None, len(done), len(now.pending), bool(known)),
        len(done),
        sum(s.evidence == "ledger" for s in done),
        len(now.pending),
        now.count("conflict"),
        sum(e.state == "applied" and e.oid not in there for e in known),
        sum(e.state == "applied" for e in known),
        None,
        tuple({"kind": e.kind, "at": e.at.isoformat(), "actor": e.actor, "run_id": e.run_id} for e in events),
    )


def gather(manifest: Manifest, reviewed: Plan) -> Facts:
    """Facts for the report."""
    events = lake_ledger.events(manifest, reviewed.migration)
    if not events:
        raise MigrationSpecError(f"the project has nothing of {reviewed.migration}", fix="apply it")
    known = entries_of(manifest, reviewed.migration)
    return facts(reviewed, events, known, lake_ledger.digest(events), "the lake of this project")


class _Undo(Exception):  # noqa: N818 - not an error: ends a dry run
    pass


def _conflicts(steps: list[Step], names: Mapping[int, str], findings: list[Finding]) -> list[Step]:
    moving = {s.old for s in steps if s.state == "pending"}
    taken = set(names.values()) - moving
    wanted = [s.new for s in steps if s.state == "pending"]
    out = []
    for s in steps:
        problem = ""
        if s.state == "pending":
            try:
                check_dataset(s.new)
            except UsageError as error:
                problem = error.what
            if s.new in taken:
                problem = f"{s.old} cannot become {s.new}: that dataset exists"
            elif wanted.count(s.new) > 1:
                problem = f"two datasets would be called {s.new}"
        if problem:
            findings.append(Finding("A5.1", "stop", problem, s.new, "change a rule, or rename what is there", True))
        out.append(replace(s, state="conflict" if problem else s.state))
    return out


def _strays(spec: Spec, names: Mapping[int, str], steps: Sequence[Step], findings: list[Finding]) -> None:
    planned = {s.oid for s in steps}
    for oid, name in names.items():
        stray = spec.stray_regex is not None and spec.stray_regex.search(name)
        if stray and oid not in planned and name not in spec.allow.strays:
            findings.append(Finding("A5.5", "stop", f"{name} looks old, but no rule renames it", name, "allow.strays"))


def _forth(manifest: Manifest, reviewed: Plan) -> tuple[Step, ...]:
    now = plan(manifest, reviewed.spec)
    demand(list(now.findings))
    return left(reviewed, now)


def _back(manifest: Manifest, reviewed: Plan) -> tuple[Step, ...]:
    applied = [e for e in entries_of(manifest, reviewed.migration) if e.state == "applied"]
    with manifest.connection() as con:
        names = names_of(con)
    leaving = {e.new for e in applied}
    for e in applied:
        if names.get(e.oid) != e.new or (e.old in names.values() and e.old not in leaving):
            raise MigrationConflict(
                f"{e.new} cannot become {e.old} again: it is {names.get(e.oid, 'gone')}, or the name is taken",
                fix="rename what took it; nothing was changed",
            )
    return tuple(Step(e.oid, "dataset", e.oid, e.new, e.old, e.group, e.oid, SCHEMA) for e in applied)
