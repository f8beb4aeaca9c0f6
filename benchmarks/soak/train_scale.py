"""A training run of 3 pairs x 2 horizons x 2 folds: the law of its seconds, held against a cell that it did not see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.selection_world import noise_project
from benchmarks.soak.state import State
from bqx.base.process import peak_bytes
from bqx.build.project import Project
from bqx.market.calendar import Calendar, month_span
from bqx.research.candidates import candidates
from bqx.research.dataset import Dataset
from bqx.research.dataset_make import make_dataset
from bqx.research.split_plan import plan
from bqx.research.splits import WEEK, YEAR
from bqx.research.training.cost import forecast
from bqx.research.training.law import Law, size_of, timed
from bqx.research.training.order import make_order
from bqx.research.training.phases import spacing_for
from bqx.research.training.run import missing, train
from bqx.research.training.settings import Settings

PAIRS = ("eurusd", "usdjpy", "gbpusd")
COLUMNS, WORKERS = 250, 2
ERROR, MEMORY = 0.25, 1.5
"""How far the held-back cell may be from the law; how far the process may exceed the memory forecast."""
CHILD = "import sys; from benchmarks.soak.train_scale import child; child(*sys.argv[1:])"


def train_scale(state: State) -> dict[str, Any]:
    """`state.size` months of invented columns; training in a process of its own, for its memory."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder:
        root = Path(folder) / "project"
        calendar = Calendar.load()
        start = calendar.at_ordinal(calendar.ordinal(month_span("2023_07")[0]))
        last = 6 + state.size
        end = month_span(f"{2023 + last // 12}_{last % 12 + 1:02}")[0]
        project = noise_project(root, PAIRS, start, end, seed=state.seed)
        make_dataset(project, "scale")
        project.close()
        here = Path(__file__).parents[2]
        env = {**os.environ, "PYTHONPATH": f"{here / 'src'}:{here}"}
        words = [sys.executable, "-c", CHILD, str(root), str(state.seed)]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, cwd=here)
        if done.returncode:
            raise RuntimeError(f"training failed: {done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "months": state.size, "seconds": round(time.perf_counter() - began, 1)}


def child(root: str, seed: str) -> None:
    """In the process of its own: prints what :func:`measure` finds."""
    dataset = Dataset.open(Project.open(Path(root)), "scale")
    chosen = drawn(int(seed))
    print(
        json.dumps(
            measure(dataset, chosen, Settings(horizons=(15, 60), folds=(0, 1)), dataset.splits.folds()[-1].number)
        )
    )


def drawn(seed: int, count: int = COLUMNS) -> list[str]:
    """As many columns as a mask has, drawn among the candidates."""
    names = [c.name for c in candidates() if c.warmup < 3000]
    return [names[k] for k in np.sort(np.random.default_rng(seed).choice(len(names), count, replace=False))]


def measure(dataset: Dataset, columns: Sequence[str], settings: Settings, held_fold: int) -> dict[str, Any]:
    """Train, fit the law, and train one cell of another horizon and fold to see how far the law is from it."""
    order = make_order(dataset, settings, columns=columns)
    before = forecast(order, missing(order, "scale"), WORKERS)
    wall, cpu = time.perf_counter(), time.process_time()
    run = train(order, "scale", workers=WORKERS)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    cells = timed(run)
    law = Law.fit([s for s, _ in cells], [t for _, t in cells], "this run")
    one = Settings(settings.estimator, settings.params, settings.heads, (dataset.pairs[0],), (30,), (held_fold,))
    ((size, took),) = timed(train(make_order(dataset, one, columns=columns), "held"))
    told = law.seconds(size)
    core = sum(t for _, t in cells)
    peak = peak_bytes()
    return {
        **verdict(told, took, peak, before.memory_bytes),
        "state": run.state,
        "cells": len(cells),
        "fit_core_seconds": round(core, 2),
        "run_core_seconds": round(cpu, 2),
        "run_wall_seconds": round(wall, 2),
        "dry_run": {**before.as_dict(), "error_of_core_seconds": round(before.core_seconds / core - 1.0, 3)},
        "law": list(law.coefficients),
        "held_back": {"horizon": 30, "fold": held_fold, "rows": size.rows, "seconds": round(took, 3),
                      "told": round(told, 3)},
        "full": full(law, run.head, len(columns), max(cpu - core, 0.0) / len(order.pairs)),
    }  # fmt: skip


def verdict(told: float, took: float, peak: float, memory: float) -> dict[str, Any]:
    """Whether law and memory forecast are near enough."""
    error = told / took - 1.0
    return {
        "ok": abs(error) <= ERROR and peak <= MEMORY * memory,
        "held_back_error": round(error, 3),
        "held_back_error_allowed": ERROR,
        "peak_gb": round(peak / 1e9, 3),
        "memory_forecast_gb": round(memory / 1e9, 3),
    }


def full(law: Law, head: dict[str, Any], columns: int, beside: float) -> dict[str, Any]:
    """28 pairs x 5 horizons x 6 folds of a year, by the law. beside : core-seconds a pair spends outside of fits."""
    year = plan(0, YEAR + 10 * 1440, 75)
    folds = year.folds()[:6]
    first = folds[0].train_end - folds[0].train_start
    rows = [(f.train_end - f.train_start) / spacing_for(h, first) * (1 - h / WEEK)
            for h in (15, 30, 45, 60, 75) for f in folds]  # fmt: skip
    core = 28 * (sum(law.seconds(size_of(head, n, columns)) for n in rows) + beside)
    return {
        "pairs": 28,
        "horizons": 5,
        "folds": len(folds),
        "cells": 28 * len(rows),
        "most_rows": round(max(rows)),
        "core_hours": round(core / 3600, 2),
        "hours_on": {str(n): round(core / 3600 / n, 2) for n in (2, 8, 32)},
    }
