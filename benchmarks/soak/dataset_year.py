"""A pair-year of all candidates: memory and time of making and streaming it, and of one selection on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.soak.selection_world import noise_project
from benchmarks.soak.state import State
from bqx.market.calendar import Calendar, month_span
from bqx.research.selection.run import forecast

MEMORY_GB, MINUTES, WORKERS = 4.0, 30.0, 2
SOURCE = Path(__file__).parents[2] / "src"
MAKE = """
from bqx.research.dataset_make import make_dataset
made = make_dataset(project, "year")
out = {"rows": made["counts"][pair]["rows"], "candidates": made["candidates"], "nulls": made["counts"][pair]["nulls"]}
"""
STREAM = """
from bqx.research.dataset import Dataset
rows = values = 0
for block in Dataset.open(project, "year").blocks(pair):
    rows, values = rows + len(block), values + block.X.size
out = {"rows": rows, "values": values}
"""
SELECT = """
from bqx.research.dataset import Dataset
from bqx.research.selection.run import run_selection
data = Dataset.open(project, "year")
last = data.splits.folds()[-1].number
made = run_selection(data, "one", folds=[last], workers=int(sys.argv[3]))["folds"][0]
out = {k: made[k] for k in ("fold", "rows", "kept", "selected", "clusters", "certified", "seconds")}
"""
FRAME = """
import json, sys, time
from bqx.base.process import peak_bytes
from bqx.build.project import Project
project, pair = Project.open(sys.argv[1]), sys.argv[2]
before = peak_bytes()
wall, cpu = time.perf_counter(), time.process_time()
{body}
peak = peak_bytes()
print(json.dumps({{**out, "wall_seconds": round(time.perf_counter() - wall, 1),
                  "core_seconds": round(time.process_time() - cpu, 1),
                  "peak_gb": round(peak / 1e9, 3), "import_gb": round(before / 1e9, 3)}}))
"""


def dataset_year(state: State) -> dict[str, Any]:
    """`state.size` months of one pair, invented values in all 33 datasets; each step in a process of its own."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder:
        result = measure(Path(folder) / "project", state.size, state.seed)
    return {**result, "seconds": round(time.perf_counter() - began, 1)}


def measure(root: Path, months: int, seed: int) -> dict[str, Any]:
    """Make the world and measure making, streaming and selecting."""
    calendar = Calendar.load()
    start = calendar.at_ordinal(calendar.ordinal(month_span("2023_07")[0]))
    end = month_span(f"{2023 + (6 + months) // 12}_{(6 + months) % 12 + 1:02}")[0]
    noise_project(root, ["eurusd"], start, end, seed=seed).close()
    steps = {name: _step(root, body) for name, body in (("make", MAKE), ("stream", STREAM), ("select", SELECT))}
    spent = steps["select"]["seconds"]
    minutes = (spent["selection"] + spent.get("comparators", 0.0)) / 60
    peak = max(step["peak_gb"] for step in steps.values())
    fast = steps["select"]["core_seconds"] / WORKERS / 60  # what it takes when both cores are its own
    return {
        "ok": peak < MEMORY_GB and fast < MINUTES,
        "months": months,
        **steps,
        "peak_gb": peak,
        "peak_gb_allowed": MEMORY_GB,
        "selection_minutes": round(minutes, 2),
        "selection_minutes_of_2_free_cores": round(fast, 2),
        "selection_minutes_allowed": MINUTES,
        "forecast": forecast([steps["select"]["core_seconds"] / WORKERS]),
    }


def _step(root: Path, body: str) -> dict[str, Any]:
    """Run one step in a fresh interpreter; its figures."""
    done = subprocess.run(
        [sys.executable, "-c", FRAME.format(body=body), str(root), "eurusd", str(WORKERS)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"a step failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
