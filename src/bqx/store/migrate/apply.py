"""Carry a reviewed plan out: one transaction or batches, tried again while a reader holds on, then verified."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import BqxError, MigrationLocked
from bqx.base.runlog import event
from bqx.base.secret import Secret
from bqx.store.migrate import sessions
from bqx.store.migrate.batch import Done, Job, Told, run_batch
from bqx.store.migrate.budget import Budget, batches, read_budget
from bqx.store.migrate.connect import connect, told
from bqx.store.migrate.ledger import Ledger, identity
from bqx.store.migrate.live import demand, left, read_plan
from bqx.store.migrate.operating import operating
from bqx.store.migrate.plan import Plan, Step
from bqx.store.migrate.preflight import look, wait_for_quiet, writers
from bqx.store.migrate.rows import Rows
from bqx.store.migrate.verify import Verified, verify

if TYPE_CHECKING:
    import psycopg

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0


@dataclass(frozen=True)
class Options:
    """How to run. mode : overrides the specification's. wait : seconds to wait for vacuums and index builds.

    budget : believe this lock budget instead of the server's settings (tests of a full lock table).
    """

    mode: str = ""
    rows: Rows = "exact"
    dry_run: bool = False
    wait: float = 0.0
    scan: Path | None = None
    budget: Budget | None = None
    verify: bool = True
    told: Told = lambda what, done, total: None
    sleep: Callable[[float], None] = time.sleep


DEFAULTS = Options()


@dataclass
class Result:
    """What a run did. nothing : there was nothing to do, `evidence` says why."""

    migration: str
    direction: str
    applied: bool = False
    nothing: bool = False
    evidence: Mapping[str, int] = field(default_factory=dict)
    mode: str = ""
    batches: list[Done] = field(default_factory=list)
    retries: int = 0
    verified: Verified | None = None
    seconds: float = 0.0

    def total(self, phase: str) -> float:
        return sum(b.seconds.get(phase, 0.0) for b in self.batches)

    def as_dict(self) -> dict[str, Any]:
        return {
            "migration": self.migration,
            "direction": self.direction,
            "applied": self.applied,
            "nothing_to_do": self.nothing,
            "evidence": dict(self.evidence),
            "mode": self.mode,
            "tables": sum(b.tables for b in self.batches),
            "objects": sum(b.objects for b in self.batches),
            "retries": self.retries,
            "seconds": self.seconds,
            "ddl_seconds": self.total("ddl"),
            "batches": [b.as_dict() for b in self.batches],
            "verification": None if self.verified is None else self.verified.as_dict(),
        }


def apply(dsn: Secret | str, plan: Plan, options: Options = DEFAULTS) -> Result:
    """Rename what of `plan` is still to do; a dry run does the same and rolls back.

    MigrationConflict, PreflightError, MigrationLocked or VerificationError with nothing half done: a batch is there
    whole or not at all, and the ledger says which.
    """
    clock = time.perf_counter()
    with told("apply"), connect(dsn) as con, operating(con, plan.spec.schema_name, plan.migration):
        ledger = Ledger(con, plan.spec.ledger_schema)
        now = read_plan(con, plan.spec, ledger)
        demand(list(now.findings))
        todo = left(plan, now)
        result = Result(plan.migration, plan.direction)
        if not todo:
            result.nothing = True
            result.evidence = {
                "tables_done": sum(s.state == "done" for s in now.tables),
                "in_ledger": sum(s.evidence == "ledger" for s in now.tables),
            }
            result.seconds = time.perf_counter() - clock
            return result
        rest = _with(plan, todo)
        budget = options.budget or read_budget(con)
        wait_for_quiet(con, rest, options.wait, sleep=options.sleep)
        demand([*look(con, rest, budget, options.scan), *writers(con, rest)])
        job = Job(plan, lambda: connect(dsn), options.rows, options.dry_run, options.told)
        carry_out(con, job, batches(rest, budget, options.mode or plan.spec.mode), options, result)
    if result.applied and options.verify:
        result.verified = verify(dsn, plan, rows=options.rows, progress=options.told)
    result.seconds = time.perf_counter() - clock
    return result


def carry_out(
    con: psycopg.Connection[Any], job: Job, groups: Sequence[Sequence[Step]], options: Options, result: Result
) -> None:
    """Run the transactions one by one; what fails is written to the ledger, if there is still a server to tell."""
    result.mode = "atomic" if len(groups) == 1 else "batched"
    rollback = "rollback-" if job.plan.direction == "rollback" else ""
    ledger = Ledger(con, job.plan.spec.ledger_schema)
    if not options.dry_run:
        ledger.create()
        ledger.keep(job.plan)
        ledger.add(job.plan, f"{rollback}started", {"mode": result.mode, "batches": len(groups)})
    event("migrate.start", migration=job.plan.migration, mode=result.mode, batches=len(groups), dry=options.dry_run)
    try:
        for number, steps in enumerate(groups, start=1):
            result.batches.append(_patiently(con, job, steps, number, len(groups), options, result))
            event("migrate.batch", number=number, of=len(groups), seconds=_rounded(result.batches[-1].seconds))
    except BqxError as error:
        if not options.dry_run and not con.closed and not con.broken:
            ledger.add(job.plan, f"{rollback}failed", {"error": error.as_dict(), "batches": len(result.batches)})
        raise
    result.applied = not options.dry_run


def _patiently(
    con: psycopg.Connection[Any],
    job: Job,
    steps: Sequence[Step],
    number: int,
    of: int,
    options: Options,
    result: Result,
) -> Done:
    """Try, wait longer each time with some chance in it, try again; others' sessions are never ended."""
    from psycopg import errors as pg

    for attempt in range(job.plan.spec.retries + 1):
        try:
            return run_batch(con, job, steps, number, of, {"mode": result.mode, "retries": result.retries})
        except MigrationLocked as error:
            if isinstance(error.__cause__, pg.OutOfMemory):
                raise
            who = sessions.holders(con, [s.oid for s in steps if s.is_table])
            held = "; ".join(str(h) for h in who[:3]) or "a session that let go meanwhile"
            if attempt == job.plan.spec.retries:
                raise MigrationLocked(
                    f"{error.what}; after {attempt + 1} tries it is still held by {held}",
                    where=error.where,
                    fix="wait for the named session or end it, then run the same command again; nothing was renamed"
                    if number == 1
                    else "end what holds it, then run the same command: it goes on with the batches that are left",
                ) from error
            result.retries += 1
            pause = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.75, 1.25)  # noqa: S311
            event("migrate.retry", level="warning", batch=number, attempt=attempt + 1, held_by=held, wait_s=pause)
            options.told(f"held by {held}; again in {pause:.1f} s", number - 1, of)
            options.sleep(pause)
    raise AssertionError("unreachable")


def _with(plan: Plan, todo: Sequence[Step]) -> Plan:
    """The reviewed plan with the state its steps have now."""
    live = {identity(s.oid, s.kind, s.column): s for s in todo}
    steps = [
        live.get(identity(s.oid, s.kind, s.column))
        or (s if s.state != "pending" else replace(s, state="done", evidence="ledger"))
        for s in plan.steps
    ]
    return replace(plan, steps=tuple(steps))


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {phase: round(value, 4) for phase, value in seconds.items()}
