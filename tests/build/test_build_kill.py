"""kill -9, Ctrl-C and rivals are normal events: whatever happens, running again gives the same bytes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_project import contents

from bqx.base.errors import LeaseError
from bqx.base.faults import FAULT_POINTS
from bqx.build.choice import Choice
from bqx.build.lease import Lease, holder
from bqx.build.progress import Silent
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.status import build_status
from bqx.build.worker import Outcome
from bqx.store.known import now_us

Copy = Callable[[Path], Project]
TWO = Choice(datasets=("time_dual", "returns_raw_rate"))
WORKER = Path(__file__).with_name("build_worker.py")


@contextmanager
def worker(root: Path, *args: str, fault: str = "") -> Iterator[subprocess.Popen[str]]:
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source), "BQX_FAULT": fault}
    process = subprocess.Popen(
        [sys.executable, str(WORKER), str(root), *args], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def undisturbed(built: Path) -> dict[str, str]:
    project = Project.open(built)
    names = {name: digest for name, digest in contents(project).items() if name.startswith(TWO.datasets or ())}
    project.close()
    assert len(names) == 12
    return names


@pytest.mark.parametrize("point", [f"{name}:{2 + k}" for k, name in enumerate(FAULT_POINTS)])
def test_killed_at_a_fault_point_and_run_again(
    unbuilt: Path, copy: Copy, undisturbed: dict[str, str], point: str
) -> None:
    project = copy(unbuilt)
    with worker(project.root, fault=point) as process:
        assert process.wait(120) == -signal.SIGKILL
    left = contents(project)
    assert left.items() <= undisturbed.items(), "what is visible is complete and right"
    assert project.store.verify(deep=True) == []
    assert holder(project.manifest) is None, "a killed holder is seen at once"
    assert (build_status(project)["last_run"] or {}).get("status") in ("killed", None)
    report = build(project, TWO)
    assert contents(project) == undisturbed
    assert report.fresh == len(left)
    assert project.store.verify(deep=True) == []


def test_ctrl_c_leaves_a_store_to_go_on_from(unbuilt: Path, copy: Copy, undisturbed: dict[str, str]) -> None:
    project = copy(unbuilt)
    with worker(project.root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "building\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    status = build_status(project)
    assert (status["lease"], (status["last_run"] or {}).get("status")) in ((None, "interrupted"), (None, None))
    assert contents(project).items() <= undisturbed.items()
    build(project, TWO)
    assert contents(project) == undisturbed


def test_the_second_run_says_who_holds_the_project(unbuilt: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    with worker(project.root, "hold") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LeaseError, match=rf"run holder \(process {process.pid} on {socket.gethostname()}, since"):
            build(project, TWO)
        assert build_status(project)["lease"].startswith("run holder")
        process.kill()
        process.wait()
        with Lease(project.manifest, "next"):
            found = holder(project.manifest)
            assert found is not None
            assert (found.run_id, found.pid) == ("next", os.getpid())
    assert holder(project.manifest) is None


def _plant(project: Project, *, host: str, born: str, beat: int) -> None:
    with project.manifest.transaction() as con:
        con.execute(
            "INSERT OR REPLACE INTO lease VALUES ('build', ?, ?, ?, ?, ?, 'other')",
            (born, os.getpid(), host, now_us(), beat),
        )


def test_a_holder_elsewhere_is_believed_while_its_heart_beats(unbuilt: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    _plant(project, host="elsewhere", born="1", beat=now_us() - 60_000_000)
    with pytest.raises(LeaseError, match="elsewhere"), Lease(project.manifest, "me"):
        pass
    with Lease(project.manifest, "me", stale_after=30):
        pass
    _plant(project, host=socket.gethostname(), born="1", beat=now_us())
    with Lease(project.manifest, "me"):  # this pid, but another process had it when the lease was written
        pass


class _Thief(Silent):
    """Takes the lease over after the first unit."""

    def __init__(self, project: Project) -> None:
        self.project = project

    def advance(self, outcome: Outcome) -> None:
        _plant(self.project, host="elsewhere", born="1", beat=now_us())


def test_a_build_whose_lease_was_taken_over_commits_nothing_more(unbuilt: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    with pytest.raises(LeaseError, match="now held by run other"):
        build(project, TWO, threads=1, progress=lambda _: _Thief(project))
    assert len({(i.key.dataset, i.key.ym) for i in project.store.partitions()}) == 1
    assert (build_status(project)["last_run"] or {})["status"] == "interrupted"


def test_a_lost_lease_stops_commits(unbuilt: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    with Lease(project.manifest, "sleeper") as lease:
        lease.check()
        _plant(project, host="elsewhere", born="1", beat=now_us())
        with pytest.raises(LeaseError, match="now held by run other"):
            lease.check()
    found = holder(project.manifest)
    assert found is not None, "leaving does not release another's lease"
    assert found.run_id == "other"
