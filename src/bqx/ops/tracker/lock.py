"""One process at a time delivers: a file lock beside the database, which ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def delivering(con: sqlite3.Connection) -> Iterator[bool]:
    """Whether this process may deliver from the database of `con`; a database in memory is nobody else's."""
    path = con.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()[0]
    if not path:
        yield True
        return
    handle = os.open(f"{path}.tracker-lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)
