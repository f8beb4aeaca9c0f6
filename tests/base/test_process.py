"""Peak memory is that of the process asked, not of its parent."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from bqx.base.process import peak_bytes


def test_peak_is_seen() -> None:
    """A block that is touched raises the peak by its size."""
    before = peak_bytes()
    size = before + 50_000_000
    block = np.ones(size // 8)
    assert peak_bytes() - before > 40_000_000
    assert block.nbytes <= size


def test_a_child_of_a_large_process_is_small() -> None:
    block = np.ones(50_000_000)
    code = "from bqx.base.process import peak_bytes; print(peak_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150_000_000 < block.nbytes
