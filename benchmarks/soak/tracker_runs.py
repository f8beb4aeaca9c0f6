"""Randomised runs of the tracker against a served base that limits and fails; nothing lost, doubled or misplaced."""

from __future__ import annotations

import logging
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.airtable.server import FakeAirtable
from benchmarks.airtable.world import TurnedClock, World
from benchmarks.soak.state import State
from bqx.ops.tracker.clock import SystemClock

AT_ONCE = 100
"""Runs beside each other: most of the time each waits for its base's 5 requests a second, on the real clock."""


def tracker_runs(state: State) -> dict[str, Any]:
    """`state.size` runs in real time, each with a base, an outbox and people of its own."""
    began, lock = time.perf_counter(), threading.Lock()
    logging.getLogger("bqx").setLevel(logging.CRITICAL)  # a line for each of thousands of dead letters otherwise
    done = {t["run"] for t in state.trials}
    left = [n for n in range(state.size) if n not in done]
    with (
        tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder,
        FakeAirtable() as fake,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        runs = [pool.submit(_real_run, fake, state.seed, n, Path(folder)) for n in left]
        for run in as_completed(runs):
            with lock:
                state.add(run.result())
            if len(state.trials) % 50 == 0:
                print(f"{len(state.trials)} of {state.size} runs", flush=True)
    return summary(state.trials, time.perf_counter() - began)


def turned_run(seed: int, number: int, folder: Path) -> dict[str, Any]:
    """One run on a clock that is turned by hand: limits and penalties pass at once."""
    clock = TurnedClock()
    with FakeAirtable(clock.monotonic) as fake:
        world = World(fake, random.Random(f"{seed}:{number}"), clock, folder / f"{number}.sqlite")  # noqa: S311
        return {"run": number, **world.run()}


def summary(trials: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Totals, and every run with a problem."""
    totals = Counter({k: 0 for t in trials[:1] for k in t if k not in ("run", "problems")})
    for trial in trials:
        totals.update({k: trial[k] for k in totals})
    bad = [t for t in trials if t["problems"]]
    enough = all(totals[k] > 0 for k in ("delivered", "dead", "edits", "deaths"))
    return {"ok": not bad and enough, "runs": len(trials), **totals, "problems": bad, "seconds": round(seconds, 1)}


def _real_run(fake: FakeAirtable, seed: int, number: int, folder: Path) -> dict[str, Any]:
    rng = random.Random(f"{seed}:{number}")  # noqa: S311 - reproducible trials, no secret
    return {"run": number, **World(fake, rng, SystemClock(), folder / f"{number}.sqlite").run()}
