"""The full year end to end: 28 simulated pairs, every dataset, the lake, two workers; then a minute and a family.

What is there of the year stays on the disk while the check runs (`$BQX_SOAK_FOLDER`, else the folder for temporary
files). Where a year does not fit, each part is dropped after its files were hashed, and the later steps work on the
last part; the result says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.soak import full_year_steps as steps
from benchmarks.soak.state import State

THREADS = 2
PART = 4
"""Months built by one command: so that a stopped check loses little, and two workers have enough to share."""
MONTH_BYTES = 4.3e9
"""Of all datasets and 28 pairs."""
MARGIN = 14e9
"""For the last month once more with its tails folded in, the changed family, and the live state."""
WALL, MEMORY_GB, APPEND = 720.0, 6.0, 1.0
ROOT = Path(__file__).parents[2]


def full_year(state: State) -> dict[str, Any]:
    """`state.size` months (12 are the year); a trial is a step."""
    began = time.perf_counter()
    folder = Path(os.environ.get("BQX_SOAK_FOLDER") or tempfile.gettempdir()) / f"bqx-full-year-{state.seed}"
    months = steps.months_of(state.size)
    parts = [months[k : k + PART] for k in range(0, len(months), PART)]
    done = {t["step"]: t for t in state.trials}
    if not done and folder.exists():
        shutil.rmtree(folder)
    root = folder / "p"
    if "bars" not in done:
        folder.mkdir(parents=True, exist_ok=True)
        drop = MONTH_BYTES * len(months) * len(steps.MARKET) / 28 + MARGIN > shutil.disk_usage(folder).free
        shutil.rmtree(root, ignore_errors=True)
        _step(state, done, "bars", root, months=state.size, seed=state.seed, drops=drop)
    elif not root.exists():
        raise SystemExit(f"{root} of the stopped check is gone: delete {state.name}.partial.json and begin again")
    drop = done["bars"]["drops"]
    for k, part in enumerate(parts):
        last = part is parts[-1]
        _step(state, done, f"part {k + 1}", root, months=",".join(part), threads=THREADS, drop=int(drop and not last))
    here = ",".join(parts[-1] if drop else months)
    _step(state, done, "again", root, months=here, threads=THREADS)
    _step(state, done, "append", root, months=here, seed=state.seed, threads=THREADS)
    _step(state, done, "family", root, months=here, threads=THREADS)
    shutil.rmtree(folder)
    return {**summary([done[f"part {k + 1}"] for k in range(len(parts))], done, here.split(",")),
            "seconds": round(sum(t["took"] for t in done.values()), 1),
            "this_call_seconds": round(time.perf_counter() - began, 1)}  # fmt: skip


def summary(parts: list[dict[str, Any]], done: dict[str, dict[str, Any]], here: list[str]) -> dict[str, Any]:
    """Sums over the parts, and the bars."""
    total = {
        key: round(sum(p[key] for p in parts), 2)
        for key in ("values", "partitions", "files", "bytes", "wall_seconds", "core_seconds", "load", "compute", "fit",
                    "encode", "write", "fits")
    }  # fmt: skip
    wall = total["wall_seconds"] - total["fit"] / THREADS
    peak = max([*(p["peak_gb"] for p in parts), done["append"]["peak_gb"]])
    months = [ym for p in parts for ym in p["months"]]
    allowed = WALL * len(months) / 12
    last = done["append"]
    verdicts = {
        "wall_without_fits": wall <= allowed,
        "memory": peak <= MEMORY_GB,
        "second_run_builds_nothing": done["again"]["built"] == 0 and done["again"]["fresh"] > 0,
        "append_time": last["seconds"]["all"] <= APPEND,
        "append_bytes": last["same_bytes"] and not last["left"],
        "one_family": done["family"]["only_it"],
    }
    values = total["values"]
    return {
        "ok": all(verdicts.values()),
        "verdicts": verdicts,
        "months": len(months),
        "pairs": len(steps.MARKET),
        "dropped_after_hashing": done["bars"]["drops"],
        "kept_for_the_later_steps": here,
        "bars": done["bars"]["bars"],
        **total,
        "wall_without_fits_seconds": round(wall, 1),
        "wall_allowed_seconds": allowed,
        "core_ns_per_value": round(total["core_seconds"] * 1e9 / values, 2),
        "worker_ns_per_value": {
            k: round(total[k] * 1e9 / values, 2) for k in ("load", "compute", "fit", "encode", "write")
        },
        "bytes_per_value": round(total["bytes"] / values, 3),
        "peak_gb": peak,
        "peak_gb_allowed": MEMORY_GB,
        "again": done["again"],
        "append": last,
        "family": done["family"],
        "parts": parts,
    }


def _step(state: State, done: dict[str, dict[str, Any]], name: str, root: Path, **options: Any) -> None:
    """Run a step unless an earlier call has finished it; its figures become a trial."""
    if name in done:
        return
    print(f"{name} ...", flush=True)
    began = time.perf_counter()
    load = os.getloadavg()[0]
    extra = {"drops": options.pop("drops")} if "drops" in options else {}
    found = run(name.split()[0], root, options)
    trial = {"step": name, **found, **extra, "took": round(time.perf_counter() - began, 1),
             "load_average": [round(load, 1), round(os.getloadavg()[0], 1)]}  # fmt: skip
    done[name] = trial
    state.add(trial)
    print(f"{name}: {json.dumps(found)[:400]}", flush=True)


def run(step: str, root: Path, options: dict[str, Any]) -> dict[str, Any]:
    """A step in a process of its own, so that memory and core-seconds are its own."""
    command = [sys.executable, "-m", "benchmarks.soak.full_year_steps", step, str(root), json.dumps(options)]
    made = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        raise SystemExit(f"the step {step} failed; run the check again to go on from it")
    found: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return found
