"""Kernels are compiled ahead once an installation: another checkout of the same code needs its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bqx
from bqx.features.catalogue import own_datasets
from bqx.features.warm import warm, warm_all

PACKAGE = Path(bqx.__file__).parent
CODE = "from bqx.features.warm import warm; print(warm(['returns_raw_rate']))"


def warmed(source: Path, cache: Path) -> int:
    """Columns that a process with `bqx` from `source` compiles into `cache`."""
    words = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    words |= {"PYTHONPATH": str(source), "BQX_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", CODE], env=words, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_each_checkout_compiles_its_own_once(tmp_path: Path) -> None:
    other, cache = tmp_path / "other", tmp_path / "cache"
    shutil.copytree(PACKAGE, other / "bqx", ignore=shutil.ignore_patterns("__pycache__"))
    columns = warmed(PACKAGE.parent, cache)
    assert columns == len(own_datasets()["returns_raw_rate"].columns)
    compiled = set(cache.rglob("*.nbc"))
    assert warmed(PACKAGE.parent, cache) == 0
    assert warmed(other, cache) == columns, "numba keeps by path, so must we"
    assert set(cache.rglob("*.nbc")) > compiled
    (other / "bqx/features/kernels/sums.py").touch()
    assert warmed(other, cache) == columns, "and by the time a source was written"
    assert warmed(other, cache) == 0


def test_side_by_side_with_progress() -> None:
    """Two processes share the families, and each is told of as it ends; here they find them compiled."""
    warm(["time_dual", "ohlc_rate"])
    told: list[str] = []
    assert warm_all(2, names=["time_dual", "ohlc_rate"], note=told.append) == []
    assert [line.partition(" (")[0] for line in sorted(told)] == ["ohlc_rate", "time_dual"]
    assert sorted(line.rpartition(", ")[2] for line in told) == ["1 of 2)", "2 of 2)"]


def test_a_process_that_dies_leaves_its_families_to_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: an interpreter that ends at once."""
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    assert sorted(warm_all(2, names=["time_dual", "ohlc_rate"])) == ["ohlc_rate", "time_dual"]
