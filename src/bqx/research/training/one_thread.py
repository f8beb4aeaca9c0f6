"""Linear algebra on one thread: its last bits must not depend on the cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """For a whole run, around its threads: limits that threads set for themselves undo one another."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
