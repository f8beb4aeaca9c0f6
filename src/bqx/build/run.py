"""`bqx build run` as a function: lease, inputs, baselines, plan, engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from bqx.base.errors import BuildError, Unsupported
from bqx.base.interrupts import interrupts
from bqx.base.runlog import current_run
from bqx.build.choice import Choice
from bqx.build.engine import BuildReport, run_plan
from bqx.build.engines import lent
from bqx.build.executor import Executor
from bqx.build.gather import gather
from bqx.build.inputs import Inputs
from bqx.build.lease import Lease
from bqx.build.ledger import Ledger
from bqx.build.planner import Plan, make_plan
from bqx.build.progress import Progress
from bqx.build.snapshot import keep
from bqx.build.threads import cores
from bqx.features.warm import warm
from bqx.store.partition import PartitionKey
from bqx.store.registry import put_calendar

if TYPE_CHECKING:
    from bqx.build.project import Project


def plan(
    project: Project, choice: Choice | None = None, *, threads: int = 0, force: bool = False
) -> tuple[Plan, Inputs]:
    """What a build would do; changes nothing."""
    inputs, _ = gather(project, choice.columns if choice else None)
    return _plan(project, inputs, choice or Choice(), threads, force), inputs


def build(
    project: Project,
    choice: Choice | None = None,
    *,
    threads: int = 0,
    retries: int | None = None,
    force: bool = False,
    progress: Callable[[Plan], Progress] | None = None,
    check: bool = True,
    note: Callable[[str], None] | None = None,
    engine: str | Executor = "threads",
    told: Callable[[str], None] = lambda _: None,
) -> BuildReport:
    """Build what is missing or stale. Raises BuildError when units failed (`check`), LeaseError, DiskError.

    note : told of each dataset whose kernels have to be compiled first, which is done once a version.
    engine : threads, processes, dask://host:port, see docs/cluster.md, or one that is open. told : hears of lost
    workers.

    Running it again goes on where it stopped; when everything is fresh it writes nothing.
    """
    if project.as_of is not None:
        raise Unsupported("a project opened as of an earlier time cannot be built", fix="open it without as_of")
    wanted = threads or project.config.build.threads
    with (
        interrupts() as stop,
        Lease(project.manifest, current_run().run_id) as lease,
        lent(engine, wanted, told) as executor,
    ):
        inputs, unregistered = gather(project, choice.columns if choice else None, keep=True)
        _keep_calendar(project)
        for row in unregistered:
            project.bars.put_baseline(row.pair, row.epoch, row.t0, row.baseline_ts, row.baseline_mid, row.source_hash)
        todo = _plan(project, inputs, choice or Choice(), executor.workers, force)
        project.store.ready(
            PartitionKey(unit.dataset, piece.pair, unit.ym) for unit in todo.units for piece in unit.pieces
        )
        keep(project, [project.catalogue[name] for name in dict.fromkeys(unit.dataset for unit in todo.units)])
        warm({unit.dataset for unit in todo.units}, note, jobs=min(todo.threads, cores(0)))
        stop()
        report = run_plan(
            project,
            inputs,
            todo,
            executor=executor,
            retries=retries,
            lease=lease,
            progress=progress(todo) if progress else None,
            stop=stop,
        )
        stop()
    if check and report.failures:
        raise failed(report)
    return report


def failed(report: BuildReport) -> BuildError:
    """The error that names the first failures of a run."""
    shown = [f"{f['dataset']} {f['month']}: {f['reason']}" for f in report.failures[:3]]
    more = f" and {len(report.failures) - 3} more" if len(report.failures) > 3 else ""
    return BuildError(
        f"{len(report.failures)} of {len(report.failures) + report.built} units failed; the rest was built",
        where="; ".join(shown) + more,
        fix="mend the cause and run it again: only what failed is built; `bqx build status` lists all failures",
    )


def _plan(project: Project, inputs: Inputs, choice: Choice, threads: int, force: bool) -> Plan:
    workers = cores(threads or project.config.build.threads)
    held = project.store.partitions(as_of=project.as_of)
    memory = int(project.config.build.memory_gb * 1e9)
    costs = Ledger(project.manifest).costs()
    return make_plan(inputs, held, choice, costs=costs, memory=memory, threads=workers, force=force)


def _keep_calendar(project: Project) -> None:
    """The manifest holds the text of every calendar that partitions were built with."""
    calendar = project.calendar
    content = json.dumps(
        {
            "version": calendar.version,
            "yearly": [f"{month:02}-{day:02}" for month, day in calendar.yearly],
            "dates": [str(day) for day in calendar.dates],
        }
    )
    digest = hashlib.sha256(content.encode()).hexdigest()[:32]
    put_calendar(project.manifest, digest, calendar.version, content)
