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

WORKER = Path(__file__).with_name("live_worker.py")


def test_killed_and_gone_on(
    tmp_path: Path, live_project: Callable[[], Project], live_frames: dict[str, pl.DataFrame], truth: dict[int, dict]
) -> None:
    root = live_project().root
    bars = w.bars_from(live_frames, w.LIVE)
    feed = tmp_path / "feed.npz"
    np.savez(feed, pair=[b.pair for b in bars], minute=[b.minute for b in bars], values=[b.values for b in bars])

    def run(fault: str, *more: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(Path(bqx.__file__).parents[1]), "BQX_FAULT": fault}
        words = [sys.executable, str(WORKER), str(root), str(feed), *more]
        return subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=False)

    assert run("after-temp-write:3").returncode == -9  # the first snapshot is of the stored bars
    assert run("", str(w.END - 60)).returncode == -9
    done = run("")
    assert done.returncode == 0, done.stderr
    newest, caught_up, refused = (int(v) for v in done.stdout.split())
    assert (newest, refused) == (max(truth), 0)
    assert caught_up > 0
    np.testing.assert_array_equal(np.load(root / "newest.npy"), truth[newest]["returns_std_rate"])
