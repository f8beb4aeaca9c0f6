"""An SQLite file of ours: its mark, its format, one writer at a time and readers that never wait."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bqx.base.errors import StoreError, Unsupported
from bqx.base.faults import fault
from bqx.store.schema import Step

_BUSY_SECONDS = 60.0


class _Connection(sqlite3.Connection):
    """A connection that can be weakly referenced, so that threads which end give theirs back."""


class Database:
    """Opens, creates or upgrades `path`. Threads and processes may share it: one writer at a time, readers never wait.

    kind : what the file is to people. mark : tells it from any other SQLite file. steps : as in `bqx.store.schema`.
    Raises Unsupported when the file is of a newer format, StoreError when it is not of this kind.
    """

    def __init__(self, path: Path, *, kind: str, mark: int, steps: Sequence[Step]) -> None:
        if sqlite3.sqlite_version_info < (3, 37):
            raise Unsupported(
                f"SQLite {sqlite3.sqlite_version} has no STRICT tables", fix="use a Python built with 3.37 or later"
            )
        self.path, self.kind, self._mark = path, kind, mark
        self._local = threading.local()
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._guard = threading.Lock()
        self._upgrade(steps)

    def _upgrade(self, steps: Sequence[Step]) -> None:
        try:
            with self.connection() as con:
                found, foreign = self._identify(con)
            if foreign:
                raise StoreError(f"{self.path.name} is an SQLite file, but not a bqx {self.kind}", where=str(self.path))
            if found > len(steps):
                raise Unsupported(
                    f"the {self.kind} has format {found}, this bqx knows formats up to {len(steps)}",
                    where=str(self.path),
                    fix="use the newer bqx that wrote it",
                )
            if found == len(steps):
                return
            with self.transaction() as con:
                found, _ = self._identify(con)  # another process may have been quicker
                for step in steps[found:]:
                    step(con)
                con.execute(f"PRAGMA application_id = {self._mark:d}")
                con.execute(f"PRAGMA user_version = {len(steps):d}")
        except sqlite3.DatabaseError as error:
            raise StoreError(f"the {self.kind} cannot be read: {error}", where=str(self.path)) from error

    def _identify(self, con: sqlite3.Connection) -> tuple[int, bool]:
        """Format version, and whether the file holds something else's tables."""
        version = int(con.execute("PRAGMA user_version").fetchone()[0])
        mark = int(con.execute("PRAGMA application_id").fetchone()[0])
        tables = int(con.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        return version, mark != self._mark and (tables > 0 or version > 0)

    def _connect(self) -> sqlite3.Connection:
        con: _Connection | None = getattr(self._local, "con", None)
        if con is not None and self._local.pid == os.getpid():
            return con
        if not self.path.parent.is_dir():
            raise StoreError("the project folder does not exist", where=str(self.path.parent), fix="run bqx init")
        con = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
            con.execute(f"PRAGMA {pragma}")
        self._local.con, self._local.pid = con, os.getpid()
        with self._guard:
            self._open.add(con)
        return con

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection with one consistent snapshot; inside `transaction()` it is that transaction's."""
        con = self._connect()
        if con.in_transaction:
            yield con
            return
        con.execute("BEGIN")
        try:
            yield con
        finally:
            con.execute("ROLLBACK")

    @contextmanager
    def transaction(self, *, faults: bool = False) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE ... COMMIT, rolled back on any exception; `faults` marks the commits tests may kill."""
        con = self._connect()
        if con.in_transaction:
            raise StoreError(f"a transaction of the {self.kind} is already open in this thread")
        con.execute("BEGIN IMMEDIATE")
        try:
            yield con
            if faults:
                fault("before-commit")
        except BaseException:
            con.execute("ROLLBACK")
            raise
        con.execute("COMMIT")
        if faults:
            fault("after-commit")

    def format(self) -> int:
        with self.connection() as con:
            return int(con.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._guard:
            for con in self._open:
                con.close()
            self._open.clear()
        self._local = threading.local()
