"""Is there room for what is about to be written?"""

from __future__ import annotations

import shutil
from pathlib import Path

from bqx.base.errors import DiskError

MARGIN = 1.2


def human_bytes(count: float) -> str:
    """
    >>> human_bytes(1_500_000)
    '1.5 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def check_disk(root: Path, estimated_bytes: int, *, free: int | None = None) -> None:
    """Raise DiskError unless `MARGIN` times the estimate fits; `free` defaults to what the file system reports."""
    have = shutil.disk_usage(root).free if free is None else free
    need = int(estimated_bytes * MARGIN)
    if need > have:
        raise DiskError(
            f"the build needs about {human_bytes(need)} ({human_bytes(estimated_bytes)} and a fifth to spare), "
            f"{human_bytes(have)} are free",
            where=str(root),
            fix="free some space (`bqx store gc`), or build fewer months, datasets or pairs",
        )
