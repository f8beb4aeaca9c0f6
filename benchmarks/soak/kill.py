"""kill -9 at random times and fault points of a real build; run again; compare all files with an undisturbed store."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.soak.state import State
from bqx.base.faults import FAULT_POINTS
from bqx.build.project import Project
from bqx.build.run import build
from bqx.market.calendar import minute_of
from bqx.market.simulated import simulate, simulated_source

PAIRS = ("eurusd", "gbpusd", "usdjpy")
START, DAYS = minute_of(datetime(2024, 6, 24, tzinfo=UTC)), 19
SOURCE = Path(__file__).parents[2] / "src"
WORKER = (
    "import sys; from bqx.build.project import Project; from bqx.build.run import build; "
    "p = Project.open(sys.argv[1]); print('building', flush=True); build(p, threads=2)"
)


def kill(state: State) -> dict[str, Any]:
    """`state.size` kills: half after a random time, half at the n-th hit of a random fault point."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder:
        root = Path(folder)
        template = _project(root / "template")
        wanted, seconds = _undisturbed(template, root / "undisturbed")
        for number in range(len(state.trials), state.size):
            rng = random.Random(f"{state.seed}:{number}")  # noqa: S311 - reproducible trials, no secret
            state.add(_trial(number, rng, template, root / f"trial{number}", wanted, seconds))
    trials = state.trials
    bad = [t for t in trials if t["problem"]]
    how = Counter(t["how"].partition(":")[0] for t in trials if t["killed"])
    return {
        "ok": not bad and sum(how.values()) > 0,
        "trials": len(trials),
        "killed": sum(how.values()),
        "finished_before_the_kill": sum(not t["killed"] for t in trials),
        "killed_by": dict(how),
        "partitions_compared": sum(t["partitions"] for t in trials),
        "visible_after_kill": dict(sorted(Counter(t["visible"] for t in trials).items())),
        "problems": bad,
        "seconds": round(time.perf_counter() - began, 1),
    }


def _project(root: Path) -> Path:
    project = Project.create(root, pairs=PAIRS)
    frames = simulate(project.calendar, START, START + DAYS * 1440, seed=7, pairs=PAIRS, origin_minute=START)
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame, simulated_source(7))
    project.close()
    return root


def _undisturbed(template: Path, root: Path) -> tuple[dict[str, str], float]:
    """Contents of an undisturbed store, and how long a worker builds after it said so."""
    shutil.copytree(template, root)
    process = _start(root)
    began = time.perf_counter()
    if process.wait() != 0:
        raise SystemExit("the undisturbed build failed")
    seconds = time.perf_counter() - began
    project = Project.open(root)
    contents = _contents(project)
    project.close()
    return contents, seconds


def _trial(
    number: int, rng: random.Random, template: Path, root: Path, wanted: dict[str, str], seconds: float
) -> dict[str, Any]:
    shutil.copytree(template, root)
    if rng.random() < 0.5:
        delay = rng.uniform(0, seconds)
        how = f"time:{delay:.3f}"
        process = _start(root)
        time.sleep(delay)
        process.kill()
    else:
        point = rng.choice(FAULT_POINTS)
        how = f"{point}:{rng.randint(1, 14 if 'commit' in point else len(wanted))}"
        process = _start(root, fault=how)
    killed = process.wait() == -signal.SIGKILL
    project = Project.open(root)
    left = _contents(project)
    problem = "" if left.items() <= wanted.items() else "something visible after the kill is not as it should be"
    problem = problem or "; ".join(p.what for p in project.store.verify(deep=True))
    build(project, threads=2)
    problem = problem or ("" if _contents(project) == wanted else "the finished store differs")
    problem = problem or "; ".join(p.what for p in project.store.verify(deep=True))
    project.close()
    shutil.rmtree(root)
    print(f"{number}: {how}, {len(left)} of {len(wanted)} partitions visible, {problem or 'same bytes'}", flush=True)
    return {
        "how": how,
        "killed": killed,
        "visible": len(left),
        "partitions": len(wanted),
        "problem": problem,
    }


def _start(root: Path, fault: str = "") -> subprocess.Popen[str]:
    """A worker that has opened the project and begins to build."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "BQX_FAULT": fault}
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _contents(project: Project) -> dict[str, str]:
    return {info.name: info.pieces[0].file_hash for info in project.store.partitions()}
