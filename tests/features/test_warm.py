"""Kernels are compiled ahead once an installation: another checkout of the same code needs its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import bqx
from bqx.features.catalogue import own_datasets

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
