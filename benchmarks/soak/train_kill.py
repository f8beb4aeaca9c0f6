"""kill -9 at random fault points of a training run; run again; compare every file with an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.soak.selection_world import noise_project
from benchmarks.soak.state import State
from bqx.base.secret import Secret
from bqx.build.project import Project
from bqx.market.calendar import Calendar, month_span
from bqx.research.artefact import Signer, make_key
from bqx.research.candidates import candidates
from bqx.research.dataset import Dataset
from bqx.research.dataset_make import make_dataset
from bqx.research.training.folder import FOLDER
from bqx.research.training.order import make_order
from bqx.research.training.run import train
from bqx.research.training.settings import Settings

PAIRS, NAME, DATASET, WEEKS = ("eurusd", "usdjpy"), "killed", "first", 6
POINTS = {"after-temp-write": 42, "after-fsync": 42, "after-rename": 42, "before-commit": 2, "after-commit": 2}
"""Fault point -> how often a run of two pairs, two horizons and three folds passes it."""
HERE = Path(__file__).parents[2]
CHILD = "import sys; from benchmarks.soak.train_kill import work; work(*sys.argv[1:])"


def train_kill(state: State) -> dict[str, Any]:
    """`state.size` kills, each of a run from the beginning."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder:
        root = Path(folder) / "project"
        calendar = Calendar.load()
        start = calendar.week_start(month_span("2024_02")[0])
        end = calendar.at_ordinal(calendar.ordinal(start) + WEEKS * 7200 - 1) + 1
        project = noise_project(root, PAIRS, start, end, seed=state.seed)
        make_dataset(project, DATASET)
        project.close()
        key = make_key()[0].reveal()
        wanted = undisturbed(root, key)
        for number in range(len(state.trials), state.size):
            rng = random.Random(f"{state.seed}:{number}")  # noqa: S311 - reproducible trials, no secret
            point = rng.choice(sorted(POINTS))
            state.add(trial(root, key, f"{point}:{rng.randint(1, POINTS[point])}", rng.randint(1, 2), wanted))
    return {**judged(state.trials), "files": len(wanted), "seconds": round(time.perf_counter() - began, 1)}


def judged(trials: list[dict[str, Any]]) -> dict[str, Any]:
    bad = [t for t in trials if t["problem"]]
    killed = [t for t in trials if t["killed"]]
    return {
        "ok": not bad and bool(killed),
        "trials": len(trials),
        "killed": len(killed),
        "cells_done_when_killed": dict(sorted(Counter(t["cells"] for t in killed).items())),
        "problems": bad,
    }


def undisturbed(root: Path, key: str) -> dict[str, bytes]:
    """Files of a run that nobody killed."""
    if code := _child(root, key, 2, None):
        raise RuntimeError(f"the undisturbed run ended with {code}")
    return contents(root)


def trial(root: Path, key: str, fault: str, workers: int, wanted: dict[str, bytes]) -> dict[str, Any]:
    """One run from the beginning, killed at `fault` (point:n), and run again."""
    folder = root / FOLDER / NAME
    shutil.rmtree(folder, ignore_errors=True)
    killed = _child(root, key, workers, fault) == -9
    cells = len(list(folder.glob("cells/*/receipt.json")))
    code = _child(root, key, 3 - workers, None)
    found = contents(root)
    odd = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
    problem = f"exit code {code}" if code else f"{odd[0]} and {len(odd) - 1} more differ" if odd else ""
    return {"fault": fault, "workers": workers, "killed": killed, "cells": cells, "problem": problem}


def contents(root: Path) -> dict[str, bytes]:
    """Every file of the run but times and the lock, temporary ones too."""
    folder = root / FOLDER / NAME
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name not in ("times.json", ".lock")
    }


def work(root: str, key: str, workers: str) -> None:
    """In a process of its own: ridge of 20 columns, all heads, signed models."""
    dataset = Dataset.open(Project.open(Path(root)), DATASET)
    columns = [c.name for c in candidates() if c.lag == 0 and c.warmup < 3000][:400:20]
    order = make_order(dataset, Settings(estimator="ridge", horizons=(15, 30)), columns=columns)
    train(order, NAME, signer=Signer(Secret(key)), workers=int(workers))


def _child(root: Path, key: str, workers: int, fault: str | None) -> int:
    env = {k: v for k, v in os.environ.items() if k != "BQX_FAULT"}
    env |= {"PYTHONPATH": f"{HERE / 'src'}:{HERE}", **({"BQX_FAULT": fault} if fault else {})}
    words = [sys.executable, "-c", CHILD, str(root), key, str(workers)]
    return subprocess.run(words, env=env, capture_output=True, timeout=600, check=False, cwd=HERE).returncode
