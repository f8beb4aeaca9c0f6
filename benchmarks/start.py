"""python -m benchmarks.start [--compile] [--quick]: what bqx takes before it does something.

Each command runs in processes of its own, with byte code and compiled kernels there as after an installation, and
takes turns with a bare interpreter. --compile measures compiling all kernels too, into an empty folder, by one process
and by two.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, ROOT, provenance

FIRST = """
import numpy as np
from bqx.features.catalogue import own_datasets
from bqx.features.compute import evaluate
from bqx.features.warm import two_days
streams = two_days({pairs!r})
found = evaluate(own_datasets()[{dataset!r}], streams)
print(sum(int(np.isfinite(v).sum()) for v in found.values()))
"""
"""The first values of a process: two simulated days, one dataset."""
DATASET = "technical_rate"
BARS = {"import bqx": 300.0, "bqx --help": 200.0, "first values": 2000.0}
"""Milliseconds."""


def commands(pairs: tuple[str, ...]) -> dict[str, list[str]]:
    """What is measured, by name."""
    return {
        "python": ["-c", "pass"],
        "import bqx": ["-c", "import bqx"],
        "bqx --help": ["-c", "from bqx.cli.main import main; main()", "--help"],
        "first values": ["-c", FIRST.format(pairs=pairs, dataset=DATASET)],
    }


def measure(rounds: int, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Milliseconds by the clock and of the processor, medians of rounds in which all take turns."""
    with tempfile.TemporaryDirectory(prefix="bqx-start-") as folder:
        words = {"PYTHONPYCACHEPREFIX": folder, "PYTHONPATH": str(ROOT / "src")}
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | words
        wanted = commands(pairs)
        for argument in wanted.values():
            run(argument, env)  # writes byte code, compiles what is not compiled yet
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in wanted}
        for _ in range(rounds):
            for name, argument in wanted.items():
                taken[name].append(run(argument, env))
    rows = []
    for name, pairs_of in taken.items():
        wall, core = ([round(1e3 * x, 1) for x in part] for part in zip(*pairs_of, strict=True))
        row = {"what": name, "wall_ms": statistics.median(wall), "best_wall_ms": min(wall)}
        row |= {"core_ms": statistics.median(core), "bar_ms": BARS.get(name)}
        rows.append(row)
    ok = all(row["bar_ms"] is None or row["wall_ms"] <= row["bar_ms"] for row in rows)
    return {**provenance(), "rounds": rounds, "pairs": len(pairs), "dataset": DATASET, "commands": rows, "ok": ok}


def run(arguments: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
    """Seconds by the clock and of the processor that a process takes; raises SystemExit when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{arguments[:2]} failed: {done.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compiled(jobs: int, only: Sequence[str] = ()) -> dict[str, Any]:
    """Compile kernels (of all datasets unless told) into an empty folder."""
    with tempfile.TemporaryDirectory(prefix="bqx-kernels-") as folder:
        env = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
        env |= {"BQX_CACHE_DIR": folder, "PYTHONPATH": str(ROOT / "src")}
        code = f"from bqx.features.warm import warm; warm({list(only) or None!r}, jobs={jobs})"
        wall, core = run(["-c", code], env)
        files = len(list(Path(folder).rglob("*.nbc")))
    return {"jobs": jobs, "wall_seconds": round(wall, 1), "core_seconds": round(core, 1), "kernels": files}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, one pair; prints, writes nothing")
    parser.add_argument("--compile", action="store_true", help="compile all kernels too (some minutes)")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT / "src"))
    from bqx.market.pairs import PAIRS

    result = measure(1 if args.quick else 9, PAIRS[:1] if args.quick else PAIRS)
    path = RESULTS / "start.json"
    if args.compile:
        result["compile"] = [compiled(1), compiled(2)]
    elif path.is_file() and not args.quick:
        result["compile"] = json.loads(path.read_text(encoding="utf-8")).get("compile", [])
    print(json.dumps(result, indent=1))
    if not args.quick:
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
