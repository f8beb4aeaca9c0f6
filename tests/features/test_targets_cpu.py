"""P2 across machines: a plain CPU, another number of pairs, and threads give the same bits."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import bqx
from bqx.features.catalogue import datasets
from bqx.features.checks import World
from bqx.features.checks.result import same_bits
from bqx.market.calendar import Calendar, minute_of, month_span, months_between
from bqx.market.simulated import simulate

START, END = (minute_of(datetime(2024, 3, day, tzinfo=UTC)) for day in (3, 9))
PAIRS = ("eurusd", "usdjpy", "audnzd")


def digests(world: World) -> dict[str, str]:
    """One hash a dataset over the bits of all its columns; every NULL is the same NaN."""
    out = {}
    for name, home in datasets().items():
        digest = hashlib.sha256()
        for column, value in world.values(home, *world.span).items():
            digest.update(column.encode())
            digest.update(np.where(np.isnan(value), np.nan, value).astype("<f8").tobytes())
        out[name] = digest.hexdigest()
    return out


def bars_digest(frames: dict[str, pl.DataFrame]) -> str:
    return hashlib.sha256(b"".join(frames[p]["close"].to_numpy().tobytes() for p in sorted(frames))).hexdigest()


def week() -> World:
    """A simulated week of three pairs: what the other process makes as well."""
    frames = simulate(Calendar.load(), START, END, seed=5, pairs=PAIRS, origin_minute=START)
    return World(frames, Calendar.load(), START)


def report() -> dict[str, object]:
    from numba.core import config

    world = week()
    return {
        "cpu": [config.CPU_NAME, config.CPU_FEATURES],
        "bars": bars_digest(dict(world.frames)),
        "datasets": digests(world),
    }


@pytest.mark.skipif(sys.platform == "win32", reason="the CPU target is set by environment")
def test_generic_cpu(tmp_path: Path) -> None:
    """Everything compiled again for a CPU without AVX or FMA, in another process: about 20 s of compiling."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    env |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "BQX_CACHE_DIR": str(tmp_path)}
    env["PYTHONPATH"] = str(Path(bqx.__file__).parents[1])
    done = subprocess.run([sys.executable, __file__], env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    other = json.loads(done.stdout)
    here = report()
    assert other["cpu"] == ["generic", ""]
    assert here["cpu"] != other["cpu"]
    assert other["bars"] == here["bars"], "the simulated market itself"
    assert other["datasets"] == here["datasets"]
    assert len(other["datasets"]) == len(datasets())


def months(world: World, names: list[str]) -> list[tuple[str, int, int]]:
    first, last = world.span
    spans = [(max(a, first), min(b, last)) for a, b in map(month_span, months_between(first, last))]
    return [(name, *span) for name in names for span in spans]


def test_two_threads(world: World) -> None:
    """Different datasets and months at once, twice: the bits of one thread alone."""
    jobs = months(world, list(datasets()))

    def build(job: tuple[str, int, int]) -> dict[str, NDArray[np.float64]]:
        return world.values(datasets()[job[0]], job[1], job[2])

    alone = [build(job) for job in jobs]
    for order in (jobs, jobs[::-1]):
        with ThreadPoolExecutor(2) as pool:
            found = dict(zip(order, pool.map(build, order), strict=True))
        for job, expected in zip(jobs, alone, strict=True):
            for column, value in expected.items():
                assert same_bits(value, found[job][column]).all(), (job, column)


@pytest.mark.parametrize("name", datasets())
def test_every_pair_alone(name: str, world: World) -> None:
    """Width 1 (and 2) against width 3, every pair, so that no lane is special."""
    home = datasets()[name]
    start, end = month_span("2024_03")[0], world.span[1]
    together = world.values(home, start, end)
    for chosen in (*((p,) for p in world.pairs), world.pairs[::-2]):
        lanes = [world.pairs.index(p) for p in chosen]
        narrow = World({p: world.frames[p] for p in chosen}, world.calendar, world.t0, tuple(chosen))
        assert narrow.span[1] == end
        for column, value in narrow.values(home, start, end).items():
            assert same_bits(value, np.ascontiguousarray(together[column][:, lanes])).all(), (chosen, column)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(report()))
