"""A build's coordinator: an engine's workers compute and stage, the calling thread alone commits."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bqx.base.process import peak_bytes, resident_bytes
from bqx.base.runlog import current_run, event
from bqx.build.costs import Cost, Costs
from bqx.build.disk import check_disk
from bqx.build.executor import Executor
from bqx.build.fits import keep_fits
from bqx.build.inputs import Inputs
from bqx.build.job import BuildJob
from bqx.build.lease import Lease
from bqx.build.ledger import Ledger, now_text
from bqx.build.planner import Plan
from bqx.build.progress import Progress, Silent
from bqx.build.threads import Threads
from bqx.build.worker import Outcome

if TYPE_CHECKING:
    from bqx.build.project import Project

FLOOR_VALUES = 1_000_000
"""Fewer values than this say nothing of a dataset's speed; compilation would dominate."""


@dataclass
class BuildReport:
    """What a run did. seconds : wall clock; core_seconds : wall clock of the workers, summed over units; fit_seconds :
    its part for fits. compared : values and equations held against bounds and identities."""

    run_id: str
    fresh: int = 0
    built: int = 0
    partitions: int = 0
    values: int = 0
    bytes: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0
    fits: int = 0
    fit_seconds: float = 0.0
    compared: int = 0
    threads: int = 1
    engine: str = "threads"
    failures: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        rate = self.values / self.seconds if self.seconds > 0 else 0.0
        rounded = {"seconds": round(self.seconds, 3), "core_seconds": round(self.core_seconds, 3)}
        rounded["fit_seconds"] = round(self.fit_seconds, 3)
        return {**self.__dict__, **rounded, "values_per_second": round(rate)}


def run_plan(
    project: Project,
    inputs: Inputs,
    plan: Plan,
    *,
    executor: Executor | None = None,
    retries: int | None = None,
    lease: Lease,
    progress: Progress | None = None,
    stop: Callable[[], None] = lambda: None,
) -> BuildReport:
    """Build the plan's units under a held lease; failed ones are reported, not raised. executor : threads unless given.
    stop : called between units, raises what is to end the run.

    Each unit's partitions become visible in one transaction. After an interrupt or a kill the store holds what was
    committed, and running again goes on from there. Raises DiskError before anything is written, or when the disk
    fills up.
    """
    engine = executor or Threads(project.config.build.threads)
    if project.config.store.kind == "lake" and project.config.store.files == "local":
        check_disk(project.root, plan.bytes)
    run_id = current_run().run_id
    report = BuildReport(run_id, fresh=plan.fresh, threads=engine.workers, engine=engine.name)
    tries = project.config.build.retries if retries is None else retries
    book = _Book(project, Ledger(project.manifest), lease, report, now_text())
    job = BuildJob(project, inputs, retries=tries, code={unit.dataset for unit in plan.units})
    began = time.perf_counter()
    status = "interrupted"
    book.note("running", plan)
    try:
        with progress or Silent() as shown, closing(engine.run(job, plan.tasks)) as outcomes:
            for outcome in outcomes:
                book.take(outcome)
                shown.advance(outcome)
                stop()
        status = "failed" if report.failures else "done"
    finally:
        report.seconds = time.perf_counter() - began
        book.close(status, plan)
    return report


@dataclass
class _State:
    """How a unit stands."""

    seconds: float = 0.0
    rows: int = 0
    attempts: int = 0
    reason: str | None = None


@dataclass(slots=True)
class _Spent:
    """Core-seconds of a dataset in this run and the values they went into; bytes of all values it stored."""

    compute: float = 0.0
    write: float = 0.0
    computed: int = 0
    written: int = 0
    stored: int = 0
    bytes: int = 0
    alone: bool = False


@dataclass
class _Book:
    """Commits outcomes and keeps the accounts; used by the coordinating thread only."""

    project: Project
    ledger: Ledger
    lease: Lease
    report: BuildReport
    started: str
    spent: dict[str, _Spent] = field(default_factory=dict)
    load: float = 0.0
    cells: float = 0.0
    resident: int = field(default_factory=resident_bytes)
    peak: int = field(default_factory=peak_bytes)
    units: dict[tuple[str, str], _State] = field(default_factory=dict)

    def take(self, outcome: Outcome) -> None:
        """A unit cut by pairs comes in parts: they add up, and one that fails makes the unit fail."""
        unit, report = outcome.unit, self.report
        report.core_seconds += outcome.seconds
        report.fit_seconds += outcome.spent.fit
        report.fits += len(outcome.fits)
        report.compared += outcome.spent.compared
        state = self.units.setdefault((unit.dataset, unit.ym), _State())
        state.seconds += outcome.seconds
        state.attempts = max(state.attempts, outcome.attempts)
        if outcome.reason is not None:
            state.reason = state.reason or outcome.reason
        else:
            self._commit(outcome)
            state.rows += unit.rows
        self.ledger.put_unit(
            unit.dataset,
            unit.ym,
            "failed" if state.reason else "built",
            report.run_id,
            reason=state.reason,
            attempts=state.attempts,
            seconds=state.seconds,
            rows=state.rows,
        )
        report.built = sum(s.reason is None for s in self.units.values())
        report.failures = [
            {"dataset": dataset, "month": ym, "attempts": s.attempts, "reason": s.reason}
            for (dataset, ym), s in sorted(self.units.items(), key=lambda item: item[0][::-1])
            if s.reason is not None
        ]

    def _commit(self, outcome: Outcome) -> None:
        unit, report = outcome.unit, self.report
        self.lease.check()
        if outcome.fits:
            keep_fits(self.project.manifest, outcome.fits)
        self.project.store.commit(outcome.receipts)
        size = sum(r.bytes for r in outcome.receipts)
        report.partitions += len(outcome.receipts)
        report.values += unit.values
        report.bytes += size
        self.load += outcome.spent.load
        self.cells += outcome.spent.cells
        total = self.spent.get(unit.dataset)
        if total is None:  # the first loads compiled kernels; its seconds count when it stays the only one
            total = self.spent[unit.dataset] = _Spent(alone=True)
        elif total.alone:
            total = self.spent[unit.dataset] = _Spent(stored=total.stored, bytes=total.bytes)
        total.compute += outcome.spent.compute
        total.write += outcome.spent.write
        total.computed += unit.computed
        total.written += unit.values
        total.stored += unit.values
        total.bytes += size

    def note(self, status: str, plan: Plan) -> None:
        planned = {"planned_units": len(plan.units), "planned_values": plan.values}
        self.ledger.put_run({**self.report.as_dict(), "status": status, "started": self.started, **planned})

    def close(self, status: str, plan: Plan) -> None:
        if costs := self._costs(plan):
            self.ledger.put_costs(costs)
        self.note(status, plan)
        event("build.end", status=status, **self.report.as_dict())

    def _costs(self, plan: Plan) -> Costs | None:
        """What this run has measured; None when it was too small to say anything."""
        datasets = {
            name: Cost(s.compute * 1e9 / s.computed, s.write * 1e9 / s.written, s.bytes / s.stored)
            for name, s in self.spent.items()
            if s.written >= FLOOR_VALUES
        }
        if not datasets or not self.cells:
            return None
        peak = peak_bytes()
        known = plan.costs
        held = (plan.memory - known.resident_bytes) / known.memory_factor
        rose = peak > self.peak and held > 0
        return Costs(
            datasets,
            self.load * 1e9 / self.cells,
            self.resident if rose else known.resident_bytes,
            max(peak - self.resident, 0) / held if rose else known.memory_factor,
            self.report.threads,
            "measured on this machine",
        )
