"""The processing job: bars in, features built, a dataset pinned, its candidates as Parquet."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import ContainerError, LeakError
from bqx.base.runlog import event
from bqx.ops.container.layout import Layout

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.research.dataset import Dataset

LEFT_OUT = shutil.ignore_patterns("cache", "*-shm", ".lock")


@dataclass(frozen=True)
class Asked:
    """name : of the dataset. pairs : of a new project, all 28 unless told. every : bars between rows of the Parquet
    files. as_built : the project's features were built elsewhere, by a cluster; leakage : run L1 to L14 on a pair.
    """

    name: str
    pairs: tuple[str, ...] = ()
    lags: str = "seed"
    every: int = 1
    threads: int = 0
    as_built: bool = False
    leakage: bool = True
    format: str = "auto"
    utc_offset: str | None = None
    timezone: str | None = None


def process(layout: Layout, asked: Asked, note: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Read processing/input/bars and, where there is one, processing/input/project; write to processing/output:

    project/ (bars, features, dataset: the channel that training jobs read), candidates/ (Parquet, with a manifest of
    counts that were asserted). Gives the manifest. Killed, the same job goes on with what is in the output folder.
    """
    out = layout.processing_output
    out.mkdir(parents=True, exist_ok=True)
    project = _project(layout, out / "project", asked)
    try:
        _bars(layout, project, asked, note)
        if not asked.as_built:
            _build(project, asked, note)
        dataset = _dataset(project, asked, note)
        if asked.leakage:
            _leakage(dataset, note)
        from bqx.ops.container.candidate_files import write_candidates

        data = write_candidates(dataset, out / "candidates", every=asked.every, note=note)
        event("container.processed", dataset=dataset.name, rows=data["rows"], files=len(data["files"]))
        return data
    finally:
        project.close()


def _project(layout: Layout, root: Path, asked: Asked) -> Project:
    """The project in the output folder: that of a call before, a copy of the input's, or a new one."""
    from bqx.base.config import CONFIG_NAME
    from bqx.build.project import Project

    given = layout.processing_input / "project"
    if not (root / CONFIG_NAME).is_file():
        if (given / CONFIG_NAME).is_file():
            work = root.with_name(".project.part")
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(given, work, ignore=LEFT_OUT)
            work.rename(root)
        elif (layout.processing_input / "bars").is_dir():
            from bqx.market.pairs import PAIRS

            return Project.create(root, pairs=asked.pairs or PAIRS)
        else:
            raise ContainerError(
                "there is neither a project nor bars to process", where=str(layout.processing_input),
                fix="mount a folder of bars as `bars`, a project as `project`, or both",
            )  # fmt: skip
    return Project.open(root)


def _bars(layout: Layout, project: Project, asked: Asked, note: Callable[[str], None]) -> None:
    folder = layout.processing_input / "bars"
    if not folder.is_dir():
        return
    from bqx.build.importing import import_bars
    from bqx.market.fileclock import FileClock
    from bqx.market.importers.plan import plan_jobs
    from bqx.market.importers.read import ReadOptions

    clock = FileClock.parse(asked.utc_offset, asked.timezone)
    jobs = plan_jobs((folder,), format=asked.format)
    import_bars(project, jobs, ReadOptions(clock), policy="newest", tell=note)


def _build(project: Project, asked: Asked, note: Callable[[str], None]) -> None:
    from bqx.build.run import build

    done = build(project, threads=asked.threads, note=lambda name: note(f"compiling the kernels of {name}"))
    note(f"{done.built} units built, {done.fresh} partitions were fresh, {done.seconds:.0f} s")


def _dataset(project: Project, asked: Asked, note: Callable[[str], None]) -> Dataset:
    """The dataset of that name, made unless a call before made it."""
    from bqx.research.dataset import Dataset, names
    from bqx.research.dataset_make import make_dataset

    if asked.name not in names(project.root):
        make_dataset(project, asked.name, profile=asked.lags, note=note)
    return Dataset.open(project, asked.name)


def _leakage(dataset: Dataset, note: Callable[[str], None]) -> None:
    """L1 to L14 on the first pair, recorded beside the dataset; LeakError when one fails, and nothing is exported."""
    from bqx.research.leakage.record import record
    from bqx.research.leakage.suite import run_suite

    results = run_suite(dataset, dataset.pairs[0])
    record(dataset.folder, dataset.hash, dataset.pairs[0], results)
    if bad := [r for r in results if not r.ok]:
        raise LeakError(f"{', '.join(r.test for r in bad)} failed: {bad[0].detail}", where=f"dataset {dataset.name}")
    note(f"{len(results)} leakage tests passed on {dataset.pairs[0]}")
