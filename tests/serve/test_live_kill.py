"""kill -9 while a snapshot is written, and between a minute and what follows it: the next process has every minute."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import live_world as w
import numpy as np
import polars as pl

import bqx
from bqx.build.project import Project
from bqx.features.catalogue import own_datasets
from bqx.serve.live.engine import Engine

WORKER = Path(__file__).with_name("live_worker.py")


def test_killed_and_gone_on(
    tmp_path: Path, live_project: Callable[[], Project], live_frames: dict[str, pl.DataFrame], truth: dict[int, dict]
) -> None:
    root = live_project().root
    bars = w.bars_from(live_frames, w.LIVE)
    feed = tmp_path / "feed.npz"
    np.savez(feed, pair=[b.pair for b in bars], minute=[b.minute for b in bars], values=[b.values for b in bars])

    def run(fault: str, die_at: int) -> int:
        env = {**os.environ, "PYTHONPATH": str(Path(bqx.__file__).parents[1]), "BQX_FAULT": fault}
        words = [sys.executable, str(WORKER), str(root), str(feed), str(die_at)]
        return subprocess.run(words, env=env, capture_output=True, timeout=120, check=False).returncode

    assert run("after-temp-write:3", -1) == -9  # the first snapshot is of the stored bars
    assert run("", w.END - 60) == -9
    project, home = Project.open(root), own_datasets()["returns_std_rate"]
    engine, seen = Engine(project, [home]), w.Seen()
    assert (engine.newest.minute, engine.told.refused) == (w.END - 60, [])
    assert engine.told.caught_up > 0
    seen.feed(engine, w.book_of(engine), [bar for bar in bars if bar.minute >= engine.next])
    for minute, values in seen.items():
        np.testing.assert_array_equal(values[home.name], truth[minute][home.name])
    assert len(seen) == 59
    engine.close()
    project.close()
