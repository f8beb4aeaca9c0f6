"""The manifest: one SQLite file that alone says which files make up which names, and since when."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bqx.base.errors import StoreError
from bqx.store.database import Database
from bqx.store.known import known_text, now_us
from bqx.store.schema import APPLICATION_ID, STEPS, Step


class Manifest(Database):
    """The manifest at `path`; see Database."""

    def __init__(self, path: Path, *, steps: Sequence[Step] = STEPS) -> None:
        super().__init__(path, kind="manifest", mark=APPLICATION_ID, steps=steps)

    @staticmethod
    def tick(con: sqlite3.Connection, kind: str, known_at: int | None = None) -> int:
        """A known-at time later than all before, recorded in this transaction; an earlier one raises StoreError."""
        last = con.execute("SELECT max(known_at) FROM change").fetchone()[0]
        if known_at is None:
            known_at = max(now_us(), (last or 0) + 1)
        elif last is not None and known_at <= last:
            raise StoreError(
                f"known_at {known_text(known_at)} is not after the last change at {known_text(last)}",
                fix="history is append-only: leave known_at out, or give a later one",
            )
        con.execute("INSERT INTO change (known_at, kind) VALUES (?, ?)", (known_at, kind))
        return known_at

    def damage(self) -> list[str]:
        """What SQLite finds wrong with its file, and rows that refer to nothing; at most ten lines."""
        with self.connection() as con:
            answer = [str(row[0]) for row in con.execute("PRAGMA quick_check(5)")]
            broken = con.execute("PRAGMA foreign_key_check").fetchall()
        wrong = [line for line in answer if line != "ok"]
        return wrong + [f"row of {row[0]} refers to nothing" for row in broken[:5]]

    def after_ids(self, con: sqlite3.Connection) -> None:
        """To be called when rows with ids of their own were inserted; SQLite goes on after the largest by itself."""
