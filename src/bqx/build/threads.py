"""The engine in this process: threads, for kernels and writers release the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence

from bqx.base.process import keep_freed_memory
from bqx.build.executor import Item, Job, Result, drive


def cores(wanted: int) -> int:
    """Threads to use; 0 asks for one a core."""
    if wanted:
        return wanted
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Threads:
    """`Executor` over threads of this process; nothing is packed or sent."""

    name = "threads"

    def __init__(self, workers: int = 0) -> None:
        self.workers = cores(workers)
        keep_freed_memory()

    def run(self, job: Job[Item, Result], items: Sequence[Item]) -> Generator[Result]:
        return drive(job, items, job.run, slots=lambda: self.workers)

    def close(self) -> None:
        """Threads end with each run."""
