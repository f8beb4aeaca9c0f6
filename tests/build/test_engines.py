"""Threads, worker processes and a Dask cluster give the same bytes; a worker that dies costs its unit."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dask_cluster import Cluster
from small_project import REMOTE, Killer, contents

from bqx.base.errors import BuildError, ClusterError, LeaseError, Unsupported, UsageError, WorkerMismatch
from bqx.build.choice import Choice
from bqx.build.engines import map_units, open_executor
from bqx.build.ledger import Ledger
from bqx.build.processes import Processes
from bqx.build.project import Project
from bqx.build.run import build

pytestmark = pytest.mark.usefixtures("few_datasets")
Copy = Callable[[Path], Project]
WHOLE = Choice(datasets=REMOTE)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.worker()
        made.worker()
        yield made


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_two_workers_give_the_bytes_of_threads(
    unbuilt: Path, built: Path, copy: Copy, kind: str, request: pytest.FixtureRequest
) -> None:
    engine = "processes" if kind == "processes" else request.getfixturevalue("cluster").engine
    project = copy(unbuilt)
    report = build(project, WHOLE, engine=engine, threads=2)
    assert contents(project) == contents(copy(built), REMOTE)
    assert (report.engine, report.threads, report.failures) == (engine, 2, [])
    assert report.fits and report.core_seconds > 0
    assert project.store.verify(deep=True) == []
    again = build(project, WHOLE, engine=engine, threads=2)
    assert (again.built, again.values) == (0, 0)


def test_a_worker_process_killed_in_mid_unit_costs_its_unit(
    unbuilt: Path, built: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Processes] = []
    real = Processes.__init__
    monkeypatch.setattr(Processes, "__init__", lambda self, *a: (real(self, *a), made.append(self))[0])
    project, told = copy(unbuilt), []
    watch = Killer(lambda: os.kill(made[0].pids[0], signal.SIGKILL))
    report = build(project, WHOLE, engine="processes", threads=2, progress=lambda _: watch, told=told.append)
    assert len(told) == 1 and "was lost (exit code -9)" in told[0]
    assert (report.failures, report.built, watch.seen) == ([], 2 * len(REMOTE), 2 * len(REMOTE)), "each is told once"
    assert contents(project) == contents(copy(built), REMOTE)
    assert project.store.verify(deep=True) == []
    assert made[0].pids == [], "no process is left"


def test_a_unit_that_kills_every_worker_is_given_up_and_the_rest_is_built(
    unbuilt: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BQX_FAULT", "after-temp-write:4")
    project, told = copy(unbuilt), []
    two = Choice(datasets=("time_dual", "returns_raw_rate"), first_month="2024_07")
    monkeypatch.setattr("bqx.base.atomic.fault", lambda _: None)  # not in this process
    with pytest.raises(BuildError, match="1 of 2 units failed.*3 workers died over it: worker process"):
        build(project, two, engine="processes", threads=1, told=told.append)
    assert len(told) == 3, "the first unit's three files are written, the other's never"
    assert [f["dataset"] for f in Ledger(project.manifest).failures()] == ["time_dual"]
    assert {i.key.dataset for i in project.store.partitions()} == {"returns_raw_rate"}
    assert project.store.verify(deep=True) == []


def test_a_dask_worker_killed_in_mid_unit_costs_its_unit(
    unbuilt: Path, built: Path, copy: Copy, tmp_path: Path
) -> None:
    project = copy(unbuilt)
    with Cluster(tmp_path / "c") as own:
        first, _ = own.worker(), own.worker()
        watch = Killer(lambda: os.kill(first, signal.SIGKILL))
        report = build(project, WHOLE, engine=own.engine, progress=lambda _: watch)
        assert (report.failures, watch.seen) == ([], 2 * len(REMOTE))
        assert contents(project) == contents(copy(built), REMOTE)
        assert report.core_seconds > 0 and project.store.verify(deep=True) == []


def test_a_scheduler_that_is_restarted_is_found_again(unbuilt: Path, built: Path, copy: Copy, tmp_path: Path) -> None:
    project, told = copy(unbuilt), []
    with Cluster(tmp_path / "c") as own:
        own.worker()

        def restart() -> None:
            own.restart_scheduler()
            own.worker()

        watch = Killer(restart, at=3)
        report = build(project, WHOLE, engine=own.engine, progress=lambda _: watch, told=told.append)
    assert any("connect again" in line for line in told)
    assert (report.failures, watch.seen) == ([], 2 * len(REMOTE))
    assert contents(project) == contents(copy(built), REMOTE)


def test_a_lost_lease_stops_workers_and_commits_nothing_more(unbuilt: Path, copy: Copy, cluster: Cluster) -> None:
    project = copy(unbuilt)

    def steal() -> None:
        with project.manifest.transaction() as con:
            con.execute("UPDATE lease SET run_id = 'other', started = 1")

    with pytest.raises(LeaseError, match="now held by run other"):
        build(project, WHOLE, engine=cluster.engine, progress=lambda _: Killer(steal, at=1))
    assert len({(i.key.dataset, i.key.ym) for i in project.store.partitions()}) == 1


def test_a_worker_that_differs_is_named_before_any_work(
    unbuilt: Path, copy: Copy, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy(unbuilt)
    monkeypatch.setattr("bqx.build.same.__version__", "9.9.9")
    with pytest.raises(WorkerMismatch, match=r"bqx is .*, not 9\.9\.9 at worker process \d+ on \S+ on worker tcp://"):
        build(project, WHOLE, engine=cluster.engine)
    monkeypatch.undo()
    other = Project.open(project.root, overrides={"store.codec": "zstd"})
    monkeypatch.setattr("bqx.build.job.flags", lambda _: {})
    with pytest.raises(WorkerMismatch, match=r"settings is [0-9a-f]{16}, not [0-9a-f]{16}"):
        build(other, WHOLE, engine="processes", threads=1)
    other.close()
    assert contents(project) == {}


def test_a_worker_with_another_manifest_is_refused(unbuilt: Path, copy: Copy, tmp_path: Path) -> None:
    project, other = copy(unbuilt), copy(unbuilt)
    with Cluster(tmp_path / "c") as own:
        own.worker(root=other.root)
        with pytest.raises(WorkerMismatch, match="does not hold the inputs of this run"):
            build(project, WHOLE, engine=own.engine)


def test_engines_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no engine 'spark'"):
        open_executor("spark")
    with pytest.raises(UsageError, match="no engine 'dask://'"):
        open_executor("dask://")
    monkeypatch.setattr("bqx.build.dask_engine.CONNECT_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(ClusterError, match="no scheduler answers"):
        open_executor("dask://127.0.0.1:1")
    assert time.monotonic() - began < 30
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Unsupported, match=r"pip install 'bqx\[cluster\]'"):
        open_executor("dask://127.0.0.1:1")


def test_any_function_of_bqx_runs_over_any_engine(cluster: Cluster) -> None:
    items = [{"value": 0.1 * k} for k in range(3)]
    for engine in ("threads", "processes", cluster.engine):
        found = dict(map_units(engine, "bqx.build.engines:echo", items, workers=2))
        assert found == dict(enumerate(items)), engine
    with pytest.raises(ClusterError, match="not a function of bqx"):
        list(map_units("threads", "os:getcwd", items))
