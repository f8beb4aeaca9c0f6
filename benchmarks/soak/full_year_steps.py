"""Steps of the full year, each in a process of its own: bars, months built, one minute appended, one family changed."""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from bqx.base.process import keep_freed_memory, peak_bytes
from bqx.build import project as projects
from bqx.build.choice import Choice
from bqx.build.executor import Item, Job, Result
from bqx.build.project import Project
from bqx.build.run import build, plan
from bqx.build.threads import Threads
from bqx.features.catalogue import own_datasets
from bqx.features.declare import Dataset
from bqx.features.warm import warm
from bqx.market.calendar import month_span, months_between
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate, simulated_source
from bqx.serve.live.appender import Appender
from bqx.store.contract import PartitionInfo
from bqx.store.files import LocalFiles

FIRST = "2024_07"
MARKET: Sequence[str] = PAIRS
HELD = 6
"""Minutes at the end whose bars come later, one by one: the first warms the append up, the others count."""
CHANGED = "momentum"
"""The family whose code changes: eight datasets."""
DATASETS: Callable[[], dict[str, Dataset]] = lambda: dict(own_datasets())  # noqa: E731 - a test puts a smaller one here


class Timed(Threads):
    """Threads that add up where their time goes."""

    def __init__(self, workers: int = 0) -> None:
        super().__init__(workers)
        self.spent = dict.fromkeys(("load", "compute", "fit", "write"), 0.0)

    def run(self, job: Job[Item, Result], items: Sequence[Item]) -> Generator[Result]:
        for result in super().run(job, items):
            for name in self.spent:
                self.spent[name] += getattr(getattr(result, "spent"), name)  # noqa: B009 - outcomes of a build
            yield result


class Disk:
    """Seconds that threads spend putting finished bytes on the disk, fsync included."""

    def __init__(self) -> None:
        self.seconds, self._lock, self._put = 0.0, threading.Lock(), LocalFiles.put

    def __enter__(self) -> Disk:
        put = self._put

        def timed(files: LocalFiles, path: str, data: bytes, digest: str) -> None:
            began = time.perf_counter()
            put(files, path, data, digest)
            with self._lock:
                self.seconds += time.perf_counter() - began

        setattr(LocalFiles, "put", timed)  # noqa: B010
        return self

    def __exit__(self, *_: object) -> None:
        setattr(LocalFiles, "put", self._put)  # noqa: B010


def months_of(count: int) -> list[str]:
    """`count` months from the first."""
    start = month_span(FIRST)[0]
    return months_between(start, start + 31 * 1440 * (count + 1))[:count]


def bars(root: Path, months: int, seed: int) -> dict[str, Any]:
    """A project with the bars of the months but for the last minutes of the last one."""
    began, count = time.perf_counter(), 0
    origin = month_span(FIRST)[0]
    with closing(Project.create(root, pairs=MARKET)) as project:
        for ym in months_of(months):
            start, end = month_span(ym)
            if ym == months_of(months)[-1]:
                end = held_from(project, ym)
            frames = simulate(project.calendar, start, end, seed=seed, pairs=MARKET, origin_minute=origin)
            for pair, frame in frames.items():
                project.bars.ingest(pair, frame, simulated_source(seed, origin_minute=origin))
                count += frame.height
    return {"bars": count, "seconds": round(time.perf_counter() - began, 1)}


def held_from(project: Project, ym: str) -> int:
    """The first of the last `HELD` open minutes of a month."""
    calendar = project.calendar
    return calendar.at_ordinal(calendar.ordinal(month_span(ym)[1]) - HELD)


def part(root: Path, months: str, threads: int, drop: int) -> dict[str, Any]:
    """Build some months anew, kernels loaded before; `drop` : afterwards leave nothing of them but their digest."""
    names = months.split(",")
    with closing(Project.open(root)) as project:
        warm(project.catalogue)
        first = Choice(project.pairs[:1], tuple(project.catalogue)[:1], first_month=names[0], last_month=names[0])
        build(project, first)
        engine = Timed(threads)
        cpu, wall = time.process_time(), time.perf_counter()
        with Disk() as disk:
            report = build(project, Choice(first_month=names[0], last_month=names[-1]), engine=engine, force=True)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        infos = [i for i in project.store.partitions() if i.key.ym in names]
        paths = {p.path for i in infos for p in i.pieces}
        found = {
            "months": names, "values": report.values, "partitions": len(infos), "files": len(paths),
            "bytes": sum((root / path).stat().st_size for path in paths), "wall_seconds": round(wall, 2),
            "core_seconds": round(cpu, 2), "threads": report.threads, "fits": report.fits,
            "load": round(engine.spent["load"], 2), "compute": round(engine.spent["compute"], 2),
            "fit": round(engine.spent["fit"], 2), "encode": round(engine.spent["write"] - disk.seconds, 2),
            "write": round(disk.seconds, 2), "peak_gb": round(peak_bytes() / 1e9, 3), "digest": digest(infos),
        }  # fmt: skip
        if drop:
            project.store.drop([i.key for i in infos])
            project.store.gc(keep_generations=0, min_age_s=0)
    return found


def again(root: Path, months: str, threads: int) -> dict[str, Any]:
    """A second build finds nothing to do."""
    names = months.split(",")
    with closing(Project.open(root)) as project:
        wall = time.perf_counter()
        report = build(project, Choice(first_month=names[0], last_month=names[-1]), threads=threads)
        return {"built": report.built, "fresh": report.fresh, "seconds": round(time.perf_counter() - wall, 2)}


def append(root: Path, months: str, seed: int, threads: int) -> dict[str, Any]:
    """The held minutes come one by one; then the last month, its tails folded in, against a build of it anew."""
    last = months.split(",")[-1]
    with closing(Project.open(root)) as project:
        start, end = held_from(project, last), month_span(last)[1]
        origin = month_span(FIRST)[0]
        frames = simulate(project.calendar, start, end, seed=seed, pairs=MARKET, origin_minute=origin)
        warm(project.catalogue, live=True)
        clock = time.perf_counter()
        appender = Appender(project)
        opened = time.perf_counter() - clock
        ingests, laps = [], []
        try:
            for minute in project.calendar.grid(start, end).minute.tolist():
                clock = time.perf_counter()
                for pair, frame in frames.items():
                    row = frame.filter(pl.col("ts_utc") == datetime.fromtimestamp(minute * 60, UTC))
                    if row.height:
                        project.bars.ingest(pair, row, simulated_source(seed, origin_minute=origin))
                ingests.append(time.perf_counter() - clock)
                laps.append(appender.append())
                appender.engine.prepare()
        finally:
            appender.close()
        left = sum(lap.left for lap in laps)
        stale = len(plan(project, Choice(first_month=last, last_month=last))[0].units)
        project.store.compact()
        tailed = files_of(project, last)
        build(project, Choice(first_month=last, last_month=last), threads=threads, force=True)
        whole = files_of(project, last)
    warmed = laps[1:]
    middle = {k: round(statistics.median(lap.seconds[k] for lap in warmed), 3) for k in warmed[0].seconds}
    return {
        "minutes": len(laps), "open_seconds": round(opened, 1), "first_seconds": round(laps[0].seconds["all"], 3),
        "seconds": middle, "worst_seconds": round(max(lap.seconds["all"] for lap in warmed), 3),
        "ingest_seconds": round(statistics.median(ingests[1:]), 3), "values": warmed[0].values,
        "rows": warmed[0].rows, "files": warmed[0].files, "left": left, "stale_units": stale,
        "partitions_compared": len(whole), "differing": sum(whole.get(k) != v for k, v in tailed.items()),
        "same_bytes": tailed == whole and bool(whole), "peak_gb": round(peak_bytes() / 1e9, 3),
    }  # fmt: skip


def family(root: Path, months: str, threads: int) -> dict[str, Any]:
    """The code of one family changes: it is built anew and nothing else."""
    names = months.split(",")
    changed = {n: replace(h, version=h.version + 1) for n, h in DATASETS().items() if n.startswith(f"{CHANGED}_")}
    with closing(Project.open(root)) as project:
        before = {i.key: i.generation for i in project.store.partitions()}
        kept = getattr(projects, "datasets")  # noqa: B009 - a module's name that it imports
        setattr(projects, "datasets", lambda: {**DATASETS(), **changed})  # noqa: B010
        try:
            wall, cpu = time.perf_counter(), time.process_time()
            report = build(project, Choice(first_month=names[0], last_month=names[-1]), threads=threads)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        finally:
            setattr(projects, "datasets", kept)  # noqa: B010
        after = {i.key: i.generation for i in project.store.partitions()}
    moved = {key for key, generation in after.items() if before.get(key) != generation}
    wanted = {key for key in after if key.dataset in changed}
    return {
        "family": CHANGED, "datasets": len(changed), "partitions": len(moved), "values": report.values,
        "wall_seconds": round(wall, 2), "core_seconds": round(cpu, 2),
        "only_it": moved == wanted and bool(wanted) and before.keys() == after.keys(),
    }  # fmt: skip


def files_of(project: Project, ym: str) -> dict[str, str]:
    """Hash of the file of each partition of a month. Not of its inputs: where a dataset sees all pairs and one had no
    bar in the last minute, those of that pair's partition are older than the others', and its rows are the same."""
    return {i.name: "+".join(p.file_hash for p in i.pieces) for i in project.store.partitions() if i.key.ym == ym}


def digest(infos: Sequence[PartitionInfo]) -> str:
    """Of names and files, so that two runs can be compared."""
    lines = sorted(f"{i.name} {'+'.join(p.file_hash for p in i.pieces)}" for i in infos)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "bars": bars, "part": part, "again": again, "append": append, "family": family,
}  # fmt: skip


def main() -> int:
    keep_freed_memory()  # as `bqx build` does
    name, root, options = sys.argv[1:]
    print(json.dumps(STEPS[name](Path(root), **json.loads(options))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
