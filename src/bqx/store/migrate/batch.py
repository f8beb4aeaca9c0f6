"""One transaction: lock, count, look again, rename, assert, write the ledger, commit; or nothing of it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bqx.base.errors import MigrationConflict
from bqx.base.faults import fault
from bqx.store.migrate import checks, ddl
from bqx.store.migrate.catalogue import read_inventory, read_parts, read_relations
from bqx.store.migrate.checks import SAME, Check
from bqx.store.migrate.connect import told
from bqx.store.migrate.inventory import Inventory, Relation, Taken
from bqx.store.migrate.ledger import Entry, Ledger
from bqx.store.migrate.plan import Plan, Step
from bqx.store.migrate.planner import make_plan
from bqx.store.migrate.rows import Rows, count_rows, sample
from bqx.store.migrate.spec import Spec

if TYPE_CHECKING:
    import psycopg

Told = Callable[[str, int, int], None]
"""Hears of progress: what is done, how many of how many."""


@dataclass
class Done:
    """What one transaction did. seconds : by phase; groups : DDL seconds by group; rows : counted before, by group."""

    number: int
    of: int
    tables: int = 0
    objects: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    groups: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    checks: list[Check] = field(default_factory=list)
    locked: float = 0.0
    entries: list[Entry] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "batch": self.number,
            "of": self.of,
            "tables": self.tables,
            "objects": self.objects,
            "seconds": dict(self.seconds),
            "groups": dict(self.groups),
            "rows": dict(self.rows),
            "locked_seconds": self.locked,
            "checks": [c.as_dict() for c in self.checks],
        }


@dataclass(frozen=True)
class Job:
    """What all transactions of a run share. views : OIDs of compatibility views to drop first (rollback)."""

    plan: Plan
    open_session: Callable[[], psycopg.Connection[Any]]
    rows: Rows
    dry_run: bool
    told: Told
    views: Mapping[int, str] = field(default_factory=dict)


def run_batch(
    con: psycopg.Connection[Any], job: Job, steps: Sequence[Step], number: int, of: int, extra: Mapping[str, Any]
) -> Done:
    """Rename `steps` in one transaction; the last one also writes that the run has finished, with `extra`."""
    import psycopg

    done, spec = Done(number, of), job.plan.spec
    rollback = "rollback-" if job.plan.direction == "rollback" else ""
    with told(f"batch {number} of {of}"):
        with con.transaction():
            started = datetime.now(UTC)
            _settings(con, spec)
            counted = _lock_and_count(con, job, steps, done)
            before = _look_again(con, steps)
            names = {oid: r.name for oid, r in before.items()} | {s.oid: s.new for s in steps if s.is_table}
            _rename(con, job, steps, names, done)
            views = _views(con, job, steps, done)
            freed = {s.new for s in steps if s.is_table}
            dropped = [(oid, name) for oid, name in job.views.items() if name in freed]
            entries = _entries(job.plan, steps, before, counted, number, views, dropped)
            done.entries = entries
            with _timed(done, "assertions"):
                done.checks = _assert(con, job, steps, entries, whole=of == 1, views=dict(job.views) | dict(views))
                checks.demand(done.checks)
            if job.dry_run:
                raise psycopg.Rollback
            ledger = Ledger(con, spec.ledger_schema)
            with _timed(done, "ledger"):
                event = ledger.add(job.plan, f"{rollback}batch", done.as_dict())
                ledger.add_entries(job.plan, event, entries, started, datetime.now(UTC))
                if number == of:
                    ledger.add(job.plan, f"{rollback}finished", {"batches": of, **extra})
            fault("before-commit")
            clock = time.perf_counter()
        done.seconds["commit"] = 0.0 if job.dry_run else time.perf_counter() - clock
        done.locked += done.seconds["commit"]
    if not job.dry_run:
        fault("after-commit")
    job.told("renamed", number, of)
    return done


@contextmanager
def _timed(done: Done, phase: str, *, locked: bool = True) -> Iterator[None]:
    clock = time.perf_counter()
    try:
        yield
    finally:
        spent = time.perf_counter() - clock
        done.seconds[phase] += spent
        if locked:
            done.locked += spent


def _settings(con: psycopg.Connection[Any], spec: Spec) -> None:
    """Bounds of this transaction. It idles, holding writers off, for as long as other sessions count its tables."""
    con.execute(
        "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),"
        " set_config('idle_in_transaction_session_timeout', '0', true), set_config('search_path', '', true)",
        (f"{spec.lock_timeout_ms}ms", f"{spec.statement_timeout_ms}ms"),
    )


def _lock_and_count(con: psycopg.Connection[Any], job: Job, steps: Sequence[Step], done: Done) -> dict[int, int]:
    """Keep writers out and count, while readers go on; then take the tables for ourselves."""
    counted: dict[int, int] = {}
    if job.rows != "skip":
        with _timed(done, "waiting", locked=False):
            ddl.lock(con, steps, "SHARE")
        with _timed(done, "counting", locked=False):
            kinds = {r.oid: r.kind for r in read_relations(con, [s.oid for s in steps if s.is_table]).values()}
            leaves = [(s.oid, s.old) for s in ddl.in_order(steps) if s.is_table and kinds.get(s.oid) == "r"]
            if job.rows == "fast":
                chosen = set(sample([oid for oid, _ in leaves], job.plan.digest))
                leaves = [leaf for leaf in leaves if leaf[0] in chosen]
            counted = count_rows(job.open_session, steps[0].schema, leaves)
        groups = {s.oid: s.group for s in steps}
        for group in {s.group for s in steps}:
            done.rows[group] += sum(n for oid, n in counted.items() if groups[oid] == group)
    with _timed(done, "waiting", locked=False):
        ddl.lock(con, steps, "ACCESS EXCLUSIVE")
    idle = f"{job.plan.spec.statement_timeout_ms}ms"
    con.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", (idle,))
    return counted


def _look_again(con: psycopg.Connection[Any], steps: Sequence[Step]) -> dict[int, Relation]:
    """The tables that the steps are on, under lock: OID, name and owner must still be those planned."""
    found = read_relations(con, sorted({s.table for s in steps}))
    for step in (s for s in steps if s.is_table):
        now = found.get(step.oid)
        if now is None or now.name != step.old or (step.owner and now.owner != step.owner):
            seen = "is gone" if now is None else f"is {now.name} of {now.owner}"
            raise MigrationConflict(
                f"{step.old} changed before it was locked: it {seen}", where=f"OID {step.oid}", fix="plan again"
            )
    return found


def _rename(
    con: psycopg.Connection[Any], job: Job, steps: Sequence[Step], names: Mapping[int, str], done: Done
) -> None:
    freed = {s.new for s in steps if s.is_table}
    for oid, name in job.views.items():
        if name in freed:
            ddl.drop_view(con, oid)
    renames = list(ddl.statements(steps, names))
    if any(s.via for s in steps):  # a chain may cross groups: keep the order of the whole
        with _timed(done, "ddl"):
            ddl.run(con, renames)
    else:
        for group in dict.fromkeys(s.group for s in steps):
            clock = time.perf_counter()
            with _timed(done, "ddl"):
                ddl.run(con, [r for r in renames if r[0].group == group])
            done.groups[group] += time.perf_counter() - clock
    done.tables, done.objects = sum(s.is_table for s in steps), len(steps)


def _views(con: psycopg.Connection[Any], job: Job, steps: Sequence[Step], done: Done) -> list[tuple[int, str]]:
    if not job.plan.spec.compatibility_views or job.plan.direction == "rollback":
        return []
    with _timed(done, "views"):
        return [(oid, step.old) for step, oid in ddl.make_views(con, steps)]


def _entries(
    plan: Plan,
    steps: Sequence[Step],
    before: Mapping[int, Relation],
    counted: Mapping[int, int],
    number: int,
    made: Sequence[tuple[int, str]],
    dropped: Sequence[tuple[int, str]],
) -> list[Entry]:
    state = "applied" if plan.direction == "apply" else "rolled_back"
    out = []
    for s in steps:
        past = None
        if s.is_table:
            relation = before[s.oid]
            past = {what: getattr(relation, what) for what in SAME}
            past |= {"size": relation.size, "rows": counted.get(s.oid)}
        out.append(Entry(s.oid, s.kind, s.table, s.schema, s.old, s.new, s.group, s.column, state, number, past))
    schema = steps[0].schema
    out += [Entry(oid, "view", oid, schema, name, name, "", "", "view", number, None) for oid, name in made]
    out += [Entry(oid, "view", oid, schema, name, name, "", "", "dropped", number, None) for oid, name in dropped]
    return out


def _assert(
    con: psycopg.Connection[Any],
    job: Job,
    steps: Sequence[Step],
    entries: Sequence[Entry],
    *,
    whole: bool,
    views: Mapping[int, str],
) -> list[Check]:
    """The checks that can be made inside; of the whole schema when this transaction is the whole migration."""
    plan, oids = job.plan, [s.oid for s in steps if s.is_table]
    renamed = [e for e in entries if e.kind != "view"]
    if whole:
        now = read_inventory(con, plan.spec.schema_name)
        mine = set(oids)
        after = {r.oid: r for r in now.relations if r.oid in mine}
    else:
        after = read_relations(con, oids)
        taken = con.execute(
            "SELECT c.relname, c.oid::int8, c.relkind::text FROM pg_class c WHERE c.relname = ANY(%s)"
            " AND c.relnamespace = to_regnamespace(quote_ident(%s))",
            ([s.old for s in steps], plan.spec.schema_name),
        )
        names = {row[0]: Taken(row[1], row[2]) for row in taken}
        now = Inventory(plan.spec.schema_name, tuple(after.values()), read_parts(con, oids), names)
    out = [
        checks.identity(renamed, after),
        checks.residue(plan, renamed, now, views),
        checks.partitions(plan, renamed, after, now),
        checks.names(plan, renamed, now),
        checks.dependent(con, plan, renamed),
    ]
    if whole and plan.direction == "apply":
        if plan.spec.expect.rows and job.rows == "exact":
            counted = {e.oid: e.before["rows"] for e in renamed if e.before and e.before["rows"] is not None}
            out.insert(3, checks.rows(renamed, counted, "before", None, plan.spec.expect.rows))
        out.insert(1, checks.numbers(plan, make_plan(plan.spec, now)))
    return out
