"""An SQLite file of ours: made with its tables, known by its mark, written in one transaction at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bqx.base.errors import BqxError, Unsupported

_BUSY_SECONDS = 60.0


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """One write transaction, committed at a clean end; processes may share the file, one writer at a time."""
    con = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        con.row_factory = sqlite3.Row
        con.execute("BEGIN IMMEDIATE")
        yield con
        con.execute("COMMIT")
    finally:
        con.close()  # without a COMMIT this rolls back


def prepare(
    path: Path, schema: str, *, mark: int, version: int, kind: str, otherwise: str, error: type[BqxError]
) -> None:
    """Make the tables of `schema` in a new file; `error` for another file, Unsupported for a newer `kind`."""
    try:
        with transaction(path) as con:
            found = con.execute("PRAGMA application_id").fetchone()[0]
            have = con.execute("PRAGMA user_version").fetchone()[0]
            if found == 0 and not con.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                for statement in schema.split(";\n"):
                    con.execute(statement)
                con.execute(f"PRAGMA application_id = {mark:d}")
                con.execute(f"PRAGMA user_version = {version:d}")
                return
    except sqlite3.DatabaseError as exc:
        raise error(f"{path.name} cannot be read: {exc}", where=str(path)) from exc
    if found != mark:
        raise error(f"{path.name} is an SQLite file, but {otherwise}", where=str(path))
    if have > version:
        raise Unsupported(f"the {kind} has format {have}, this bqx knows {version}", fix="use the bqx that wrote it")
