"""The build as a job: tasks as items, units as results; and how another process makes the same job."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bqx.base.errors import WorkerMismatch
from bqx.build.executor import Json
from bqx.build.inputs import Inputs
from bqx.build.packing import pack_inputs, pack_outcome, pack_task, unpack_inputs, unpack_outcome, unpack_task
from bqx.build.same import check_same, facts
from bqx.build.tasks import Task
from bqx.build.units import Unit
from bqx.build.worker import Outcome, Spent, run_task
from bqx.features.warm import warm
from bqx.store.manifest import Manifest
from bqx.store.partition import PartitionKey

if TYPE_CHECKING:
    from bqx.build.project import Project

ROOT = "BQX_WORKER_ROOT"
"""Environment variable of a worker: the project's folder on its host, where that is not the coordinator's."""
_INPUTS = "build.inputs"


def worker_root(coordinators: str) -> Path:
    """The project's folder on this host."""
    return Path(os.environ.get(ROOT) or coordinators)


def flags(project: Project) -> dict[str, str]:
    """Settings that were given for this run only, for a worker's project to have them too."""
    return {str(o["key"]): str(o["value"]) for o in project.config.origins() if o["origin"] == "flag"}


class BuildJob:
    """A run's tasks. code : datasets a worker's code is compared for."""

    def __init__(self, project: Project, inputs: Inputs, *, retries: int, code: Collection[str] = ()) -> None:
        self.project, self.inputs, self.retries, self.code = project, inputs, retries, sorted(code)
        self.memory = int(project.config.build.memory_gb * 1e9)
        self.away = False

    def run(self, item: Task, emit: Callable[[Outcome], None], halt: threading.Event) -> None:
        task: Task | None = item
        if self.away:  # an earlier worker may have died over it, after some of its units were committed
            task = _without(item, _committed(self.project.manifest, item, self.inputs.as_of))
        if task is not None:
            run_task(self.project, self.inputs, task, emit, retries=self.retries, stop=halt)

    def bytes(self, item: Task) -> int:
        return item.bytes

    def remote(self) -> Json:
        """What `load` needs. The inputs go through the manifest: that a worker finds them proves that it reads the
        same one."""
        text = json.dumps(pack_inputs(self.inputs))
        with self.project.manifest.transaction() as con:
            con.execute("INSERT OR REPLACE INTO kv VALUES (?, ?)", (_INPUTS, text))
        return {
            "factory": "bqx.build.job:load",
            "data": {
                "root": str(self.project.root.resolve()),
                "flags": flags(self.project),
                "inputs": hashlib.sha256(text.encode()).hexdigest(),
                "retries": self.retries,
                "facts": facts(self.project, self.code),
            },
        }

    def pack(self, item: Task) -> Json:
        return pack_task(item)

    def unpack(self, data: Json) -> Task:
        return unpack_task(data)

    def pack_result(self, result: Outcome) -> Json:
        return pack_outcome(result)

    def unpack_result(self, item: Task, data: Json) -> Outcome:
        return unpack_outcome(item, data)

    def key(self, result: Outcome) -> str:
        return result.unit.name

    def rest(self, item: Task, done: Sequence[Outcome]) -> Task | None:
        """Units after those that have ended, in their order."""
        ended = {outcome.unit.name for outcome in done}
        left = tuple(unit for unit in item.units if unit.name not in ended)
        return replace(item, units=left) if left else None

    def lost(self, item: Task, attempts: int, why: str) -> Outcome:
        """Units are worked on in order, so the first is the one that workers died over."""
        return Outcome(item.units[0], (), Spent(), attempts, f"{attempts} workers died over it: {why}")

    def close(self) -> None:
        self.project.close()


def load(data: Json) -> BuildJob:
    """The job on a worker. Raises WorkerMismatch, naming worker and difference, before any work."""
    from bqx.build.project import Project

    worker = f"worker process {os.getpid()} on {socket.gethostname()}"
    project = Project.open(worker_root(data["root"]), overrides=data["flags"])
    names = [key.removeprefix("code of ") for key in data["facts"] if key.startswith("code of ")]
    check_same(data["facts"], facts(project, names), worker)
    with project.manifest.connection() as con:
        row = con.execute("SELECT value FROM kv WHERE key = ?", (_INPUTS,)).fetchone()
    if row is None or hashlib.sha256(row[0].encode()).hexdigest() != data["inputs"]:
        raise WorkerMismatch(
            f"its manifest {project.manifest.path} does not hold the inputs of this run",
            where=worker,
            fix="point it at the same manifest: one file on this host, or PostgreSQL for several",
        )
    warm(names)
    job = BuildJob(project, unpack_inputs(json.loads(row[0]), project.catalogue), retries=data["retries"])
    job.away = True
    return job


def _committed(manifest: Manifest, task: Task, since: int | None) -> set[tuple[PartitionKey, str]]:
    """Partitions of a task's months that became known after the run took its inputs, with their input hashes."""
    months = sorted({unit.ym for unit in task.units})
    marks = ", ".join("?" * len(months))
    sql = (
        "SELECT d.name, p.pair, p.ym, c.input_hash FROM generation g JOIN partition p ON p.id = g.partition_id "  # noqa: S608 - marks only
        "JOIN dataset d ON d.id = p.dataset_id JOIN piece c ON c.generation_id = g.id "
        f"WHERE p.ym IN ({marks}) AND g.known_to IS NULL AND g.known_from > ?"
    )
    with manifest.connection() as con:
        rows = con.execute(sql, (*months, since or 0)).fetchall()
    return {(PartitionKey(dataset, pair, ym), digest) for dataset, pair, ym, digest in rows}


def _without(task: Task, done: set[tuple[PartitionKey, str]]) -> Task | None:
    """A task less the units of which every piece is there."""

    def there(unit: Unit, pair: str, digest: str) -> bool:
        return (PartitionKey(unit.dataset, pair, unit.ym), digest) in done

    left = tuple(u for u in task.units if not all(there(u, p.pair, p.input_hash) for p in u.pieces))
    return replace(task, units=left) if left else None
