"""One process a training run: a lock that the kernel lets go when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bqx.base.errors import LeaseError
from bqx.base.runlog import current_run

NAME = ".lock"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold `folder` on this host; LeaseError names who holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NAME).open("a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            raise LeaseError(
                f"another process trains this run: {handle.read().strip() or 'it has just begun'}",
                where=str(folder),
                fix="wait for it or stop it; a killed one holds nothing",
            ) from error
        handle.truncate(0)
        handle.write(f"run {current_run().run_id}, process {os.getpid()}\n")
        handle.flush()
        yield
