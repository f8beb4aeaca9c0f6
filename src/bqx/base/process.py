"""What this process has taken of the machine, and how it takes memory."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from functools import cache
from pathlib import Path

_STATUS = Path("/proc/self/status")

_MALLOPT = {-8: 1, -3: 128 << 20, -1: 1 << 30, -2: 64 << 20}
"""glibc's M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD: one heap for all threads, arrays of up to 128
MB in it, up to 1 GB of it kept when free."""


@cache
def keep_freed_memory() -> bool:
    """Let arrays take the memory of those before them, where glibc would give each back and have the kernel clear new
    pages for the next (docs/decisions/123-freed-memory-is-kept.md). Whether that was done: not elsewhere, nor where a
    MALLOC_ variable is set. Best before any thread begins: threads that have a heap keep it."""
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and all(mallopt(option, value) == 1 for option, value in _MALLOPT.items())


def resident_bytes() -> int:
    """Resident size of this process now; its peak where the system does not tell."""
    return _status("VmRSS:") or peak_bytes()


def peak_bytes() -> int:
    """Largest resident size of this process's own program so far.

    Linux hands getrusage's figure down through fork and exec, so that a child of a large process reports its parent;
    the high-water mark of the address space begins anew with the program.
    """
    if known := _status("VmHWM:"):
        return known
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def _status(field: str) -> int | None:
    if not _STATUS.exists():
        return None
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)
