"""Threads, worker processes and a Dask cluster give the same bytes; a worker that dies costs its unit."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_project import REMOTE, Killer, contents

from bqx.base.errors import BuildError, ClusterError, DiskError, LeaseError, Unsupported, UsageError, WorkerMismatch
from bqx.build.choice import Choice
from bqx.build.dask_engine import _Link
from bqx.build.engines import map_units, open_executor
from bqx.build.executor import WorkerLost, drive
from bqx.build.ledger import Ledger
from bqx.build.processes import Processes
from bqx.build.project import Project
from bqx.build.run import build
from bqx.cli.main import root
from dask_cluster import Cluster

pytestmark = pytest.mark.usefixtures("few_datasets")
Copy = Callable[[Path], Project]
WHOLE = Choice(datasets=REMOTE)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.worker()
        yield made.ready()


def test_two_processes_of_which_one_is_killed_give_the_bytes_of_threads(unbuilt: Path, built: Path, copy: Copy) -> None:
    """Killed in mid-unit it costs its unit: each unit is told of once, and its place is taken by another."""
    project, told = copy(unbuilt), list[str]()
    with closing(Processes(2, told.append)) as executor:
        watch = Killer({2: lambda: os.kill(executor.pids[0], signal.SIGKILL)})
        report = build(project, WHOLE, engine=executor, progress=lambda _: watch)
        again = build(project, WHOLE, engine=executor)
        assert len(executor.pids) == 2 and (again.built, again.values) == (0, 0)
    assert executor.pids == []
    assert len(told) == 1 and "was lost (exit code -9)" in told[0]
    assert (report.engine, report.threads, report.failures) == ("processes", 2, [])
    assert report.built == watch.seen == 2 * len(REMOTE) and report.fits and report.core_seconds > 0
    assert contents(project) == contents(copy(built), REMOTE)
    assert project.store.verify(deep=True) == []


def test_a_unit_that_kills_every_worker_is_given_up(unbuilt: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BQX_FAULT", "after-temp-write")
    monkeypatch.setattr("bqx.base.atomic.fault", lambda _: None)  # not in this process
    monkeypatch.setattr("bqx.build.executor.DEATHS", 1)
    project, told = copy(unbuilt), []
    one = Choice(datasets=("time_dual",), first_month="2024_07")
    with pytest.raises(BuildError, match=r"1 of 1 units failed.*1 workers died over it: worker process"):
        build(project, one, engine="processes", threads=1, told=told.append)
    assert len(told) == 1 and contents(project) == {}
    assert [f["dataset"] for f in Ledger(project.manifest).failures()] == ["time_dual"]


class _Deadly:
    """A job of texts, each letter a result; workers die over every x, and over the first try of every y."""

    memory = 0

    def __init__(self) -> None:
        self.tried: list[str] = []

    def do(self, item: str, emit: Callable[[str], None], halt: object) -> None:
        for letter in item:
            if letter == "x" or (letter == "y" and "y" not in self.tried):
                self.tried.append(letter)
                raise WorkerLost(f"died over {letter}")
            emit(letter)

    def bytes(self, item: str) -> int:
        return 0

    def rest(self, item: str, done: list[str]) -> str | None:
        return item[len(done) :] or None

    def lost(self, item: str, attempts: int, why: str) -> str:
        return f"[{item[0]} {attempts} {why}]"


def test_only_the_deadly_unit_of_an_item_is_given_up_and_units_after_it_are_done() -> None:
    told: list[str] = []
    job: Any = _Deadly()
    found = list(drive(job, ["abxcyd"], job.do, slots=lambda: 1, note=told.append))
    assert found == ["a", "b", "[x 3 died over x]", "c", "y", "d"]
    assert told == ["died over x"] * 3 + ["died over y"]
    several = drive(job, ["ab", "cx", "xd", "ef"], job.do, slots=lambda: 4)
    assert sorted(several) == sorted(["a", "b", "c", "[x 3 died over x]", "[x 3 died over x]", "d", "e", "f"])


def test_items_wait_for_memory_and_errors_stop_the_loop() -> None:
    now, most = [0], [0]
    lock = threading.Lock()

    def do(item: str, emit: Callable[[str], None], halt: object) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        if item == "z":
            raise DiskError("no space left")
        emit(item)

    job: Any = _Deadly()
    job.memory, job.bytes = 20, lambda item: 10
    assert sorted(drive(job, list("abcdef"), do, slots=lambda: 6)) == list("abcdef")
    assert most[0] == 2
    with pytest.raises(DiskError):
        list(drive(job, list("zabc"), do, slots=lambda: 1))


def test_a_dask_cluster_that_loses_a_worker_and_its_scheduler(
    unbuilt: Path, built: Path, copy: Copy, tmp_path: Path
) -> None:
    """A worker is killed in mid-unit, then the scheduler with all it knows; each unit is told of once."""
    project, told = copy(unbuilt), []
    with Cluster(tmp_path / "c") as own:
        first, _ = own.worker(), own.worker()
        own.ready()

        def restart() -> None:
            own.restart_scheduler()
            own.worker()

        watch = Killer({2: lambda: os.kill(first, signal.SIGKILL), 5: restart})
        report = build(project, WHOLE, engine=own.engine, progress=lambda _: watch, told=told.append)
    assert any("connect again" in line for line in told)
    assert (report.failures, watch.seen, report.built) == ([], 2 * len(REMOTE), 2 * len(REMOTE))
    assert contents(project) == contents(copy(built), REMOTE)
    assert project.store.verify(deep=True) == []


def test_a_lost_lease_stops_workers_and_commits_nothing_more(unbuilt: Path, copy: Copy, cluster: Cluster) -> None:
    project = copy(unbuilt)

    def steal() -> None:
        with project.manifest.transaction() as con:
            con.execute("UPDATE lease SET run_id = 'other', started = 1")

    with pytest.raises(LeaseError, match="now held by run other"):
        build(project, WHOLE, engine=cluster.engine, progress=lambda _: Killer({1: steal}))
    assert len({(i.key.dataset, i.key.ym) for i in project.store.partitions()}) == 1


def test_a_worker_that_differs_is_named_before_any_work(
    unbuilt: Path, copy: Copy, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version on Dask; other settings, and another manifest, in a worker process."""
    project, other = copy(unbuilt), copy(unbuilt)
    with monkeypatch.context() as patch:
        patch.setattr("bqx.build.same.__version__", "9.9.9")
        with pytest.raises(WorkerMismatch, match=r"bqx is .*, not 9\.9\.9 at worker process \d+ on \S+ on worker tcp:"):
            build(project, WHOLE, engine=cluster.engine)
    monkeypatch.setenv("BQX_WORKER_ROOT", str(other.root))
    zstd = Project.open(project.root, overrides={"store.codec": "zstd"})
    with closing(Processes(1)) as executor:
        with pytest.raises(WorkerMismatch, match="does not hold the inputs of this run"):
            build(project, WHOLE, engine=executor)
        monkeypatch.setattr("bqx.build.job.flags", lambda _: {})
        with pytest.raises(WorkerMismatch, match=r"store\.codec is lz4, not zstd at"):
            build(zstd, WHOLE, engine=executor)
    zstd.close()
    assert contents(project) == contents(other) == {}


def test_engines_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no engine 'spark'"):
        open_executor("spark")
    with pytest.raises(UsageError, match="no engine 'dask://'"):
        open_executor("dask://")
    Project.create(tmp_path / "p", pairs=("eurusd",)).close()
    with pytest.raises(UsageError, match="no engine 'spark'"):
        words = ["-C", str(tmp_path / "p"), "build", "run", "--engine", "spark"]
        root.main(words, prog_name="bqx", standalone_mode=False)
    monkeypatch.setattr("bqx.build.dask_engine.CONNECT_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(ClusterError, match="no scheduler answers"):
        open_executor("dask://127.0.0.1:1")
    assert time.monotonic() - began < 30
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Unsupported, match=r"pip install 'bqx\[cluster\]'"):
        open_executor("dask://127.0.0.1:1")


class _Deserted:
    """A Dask client whose scheduler has lost all its workers: what is submitted never ends."""

    status = "running"

    def nthreads(self) -> dict[str, int]:
        return {}

    def submit(self, *args: object, **options: object) -> _Deserted:
        return self

    def add_done_callback(self, call: object) -> None:
        pass


def test_a_cluster_that_stays_without_workers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    link: Any = object.__new__(_Link)
    link.lost, link._address, link._patience, link._topic, link._routes = False, "tcp://here:1", 0.1, "t", {}
    link._threads, link._asked, link._alive, link._guard = 1, 0.0, time.monotonic(), threading.Lock()
    link._client = _Deserted()
    with pytest.raises(ClusterError, match=r"no worker for 0 s at tcp://here:1 .* run it again"):
        link.ask("job", "item", print, threading.Event())


def test_any_function_of_bqx_runs_over_any_engine(cluster: Cluster) -> None:
    items = [{"value": 0.1 * k} for k in range(3)]
    for engine in ("threads", "processes", cluster.engine):
        found = dict(map_units(engine, "bqx.build.engines:echo", items, workers=2))
        assert found == dict(enumerate(items)), engine
    with pytest.raises(ClusterError, match="not a function of bqx"):
        list(map_units("threads", "os:getcwd", items))
