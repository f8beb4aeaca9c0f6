"""What this process has taken of the machine."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


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
