"""A run killed by SIGKILL goes on with the same call to the same bytes, wherever it was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from training_worker import work
from training_worlds import contents

from bqx.build.project import Project
from bqx.research.artefact import make_key
from bqx.research.dataset import Dataset
from bqx.research.training.folder import Run
from bqx.research.trials import Trials

KEY = make_key()[0].reveal()
HERE = Path(__file__).parent


def killed(project: Project, name: str, at: str, workers: int) -> int:
    """Train in a process that dies at the n-th fault point; its exit code."""
    env = {**os.environ, "BQX_FAULT": at, "PYTHONPATH": os.pathsep.join([*sys.path, str(HERE)])}
    words = [sys.executable, str(HERE / "training_worker.py"), str(project.root), name, str(workers), KEY]
    return subprocess.run(words, env=env, capture_output=True, timeout=120, check=False).returncode


@pytest.fixture(scope="module")
def whole(noise_world: Project, noise_dataset: Dataset) -> Run:
    run = work(noise_world.root, "undisturbed", 1, KEY)
    assert run.state == "done"
    return run


@pytest.mark.parametrize(
    ("at", "workers"),
    [("after-temp-write:7", 2), ("after-rename:38", 1)],  # in a cell's receipt; in a forecast table, all cells done
    ids=["cell", "tables"],
)
def test_killed_and_run_again_gives_the_same_bytes(
    whole: Run, noise_world: Project, noise_dataset: Dataset, at: str, workers: int
) -> None:
    name = f"killed{workers}"
    assert killed(noise_world, name, at, workers) == -9
    folder = noise_world.root / "models" / name
    kept = {p: p.stat().st_mtime_ns for p in folder.glob("cells/*/receipt.json")}
    assert 0 < len(kept) < 12 if workers == 2 else len(kept) == 12
    assert not (folder / "artefacts").exists()
    run = work(noise_world.root, name, workers, KEY)
    assert {**run.head, "name": ""} == {**whole.head, "name": ""} and run.state == "done"
    mine, theirs = contents(folder), contents(whole.folder)
    for files in (mine, theirs):  # the name of the run is in its head and, signed, in its artefacts
        for path in [p for p in files if p == "run.json" or (p.startswith("artefacts/") and "manifest" in p)]:
            del files[path]
    assert mine == theirs
    assert sum(p.startswith("artefacts/") for p in mine) > 10
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items()), "what was done is not done again"


def test_the_ledger_counts_choices_once_however_often_they_ran(whole: Run, noise_world: Project) -> None:
    found = Trials(noise_world.root).list(feature_set=whole.head["mask"]["digest"], target="y3_15_15", fold="0")
    mine = [t for t in found if t["pair"] == "eurusd" and len(t["parameters"]["heads"]) == 3]
    assert len(mine) == 4
