"""Every dataset compiled again for a CPU without AVX or FMA, in another process: the same bits."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.soak.state import State
from bqx.features.catalogue import built_in, own_datasets
from bqx.features.checks import World
from bqx.market.calendar import Calendar, minute_of
from bqx.market.simulated import simulate

ROOT = Path(__file__).parents[2]
START, END = (minute_of(datetime(2024, 3, day, tzinfo=UTC)) for day in (3, 9))
PAIRS = ("eurusd", "usdjpy", "audnzd")
GROUP = 6
"""Datasets a process."""
CHILD = (
    "import sys; from benchmarks.soak.cpu_target import report; import json; print(json.dumps(report(sys.argv[1:])))"
)


def cpu_target(state: State) -> dict[str, Any]:
    """`state.size` of our datasets, extensions after them; a trial is a group of them."""
    began = time.perf_counter()
    own = own_datasets()
    names = [*own, *(n for n in built_in() if n not in own)][: state.size]
    groups = [names[k : k + GROUP] for k in range(0, len(names), GROUP)]
    for group in groups[len(state.trials) :]:
        with tempfile.TemporaryDirectory(prefix="bqx-cpu-") as cache:
            here, other = report(group), on_plain_cpu(group, Path(cache))
        state.add({"datasets": group, "problems": differences(here, other)})
        print(f"{', '.join(group)}: {state.trials[-1]['problems'] or 'same bits'}", flush=True)
    problems = [p for t in state.trials for p in t["problems"]]
    return {
        "ok": not problems,
        "problems": problems,
        "datasets": len(names),
        "seconds": round(time.perf_counter() - began, 1),
    }


def report(names: Sequence[str]) -> dict[str, Any]:
    """The CPU that kernels are compiled for, a hash of the simulated closes, and one a dataset over the bits of all its
    columns over a week of three pairs; every NULL is the same NaN."""
    from numba.core import config

    frames = simulate(Calendar.load(), START, END, seed=5, pairs=PAIRS, origin_minute=START)
    world = World(frames, Calendar.load(), START)
    return {
        "cpu": [config.CPU_NAME, config.CPU_FEATURES],
        "bars": _bars(frames),
        "datasets": {name: _digest(world, name) for name in names},
    }


def on_plain_cpu(names: Sequence[str], cache: Path) -> dict[str, Any]:
    """The same from a process that compiles for a CPU with nothing optional."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    env |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "BQX_CACHE_DIR": str(cache)}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *names], env=env, capture_output=True, text=True, check=False, timeout=1200
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def differences(here: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What does not agree; an equal CPU is a comparison of a thing with itself."""
    out = [] if other["cpu"] == ["generic", ""] != here["cpu"] else [f"compiled for {other['cpu']} and {here['cpu']}"]
    out += [] if here["bars"] == other["bars"] else ["the simulated market itself"]
    return out + [name for name, digest in here["datasets"].items() if other["datasets"].get(name) != digest]


def _digest(world: World, name: str) -> str:
    digest = hashlib.sha256()
    for column, value in world.values(built_in()[name], *world.span).items():
        digest.update(column.encode())
        digest.update(np.where(np.isnan(value), np.nan, value).astype("<f8").tobytes())
    return digest.hexdigest()


def _bars(frames: Mapping[str, pl.DataFrame]) -> str:
    return hashlib.sha256(b"".join(frames[p]["close"].to_numpy().tobytes() for p in sorted(frames))).hexdigest()
