"""Peak memory is that of the process asked, not of its parent."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from bqx.base.process import peak_bytes

AGAIN = """
import resource
import numpy as np
from bqx.base.process import keep_freed_memory
print(keep_freed_memory())
np.ones(2_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(2_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


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


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_arrays_take_the_memory_of_those_before_them() -> None:
    """Pages that the kernel has to clear for fifty arrays, one after the other; a variable of the user's stays."""
    faults = {}
    for user in (False, True):
        env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        env |= {"MALLOC_CHECK_": "0"} if user else {}
        done = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, check=True, env=env)
        kept, count = done.stdout.split()
        assert kept == str(not user)
        faults[user] = int(count)
    assert 10 * faults[False] < faults[True]
