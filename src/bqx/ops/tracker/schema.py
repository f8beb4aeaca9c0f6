"""Tables of the outbox: they live in the database of the evidence, so that one transaction writes both."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

Step = Callable[[sqlite3.Connection], None]

FORMAT_1: tuple[str, ...] = (
    """CREATE TABLE tracker_outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL CHECK (code <> ''), fields TEXT NOT NULL,
        made_at INTEGER NOT NULL, run_id TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'delivered', 'dead', 'dropped')),
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT, reason TEXT, done_at INTEGER) STRICT""",
    "CREATE INDEX tracker_outbox_waiting ON tracker_outbox(code, id) WHERE status = 'waiting'",
    # what a field of the tracker held when it was last read or written by us: the yardstick of "somebody changed it"
    """CREATE TABLE tracker_seen (
        tracker TEXT NOT NULL, code TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, seen_at INTEGER NOT NULL,
        PRIMARY KEY (tracker, code, field)) STRICT, WITHOUT ROWID""",
    # the audit trail: one row a field that was written, or found to hold the wanted value already
    """CREATE TABLE tracker_log (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, tracker TEXT NOT NULL, run_id TEXT NOT NULL,
        outbox_id INTEGER NOT NULL REFERENCES tracker_outbox(id), code TEXT NOT NULL, field TEXT NOT NULL,
        before TEXT, after TEXT NOT NULL, effect TEXT NOT NULL CHECK (effect IN ('created', 'changed', 'found')),
        UNIQUE (outbox_id, field)) STRICT""",
    "CREATE INDEX tracker_log_code ON tracker_log(code, id)",
    """CREATE TABLE tracker_sync (
        tracker TEXT PRIMARY KEY, at INTEGER NOT NULL, run_id TEXT NOT NULL, records INTEGER NOT NULL) STRICT""",
    *(
        f"CREATE TRIGGER tracker_log_no_{verb} BEFORE {verb} ON tracker_log "
        "BEGIN SELECT RAISE(ABORT, 'tracker_log is append-only'); END"
        for verb in ("update", "delete")
    ),
)


def create(con: sqlite3.Connection) -> None:
    """Make the tables; the caller's transaction."""
    for statement in FORMAT_1:
        con.execute(statement)


STEPS: Sequence[Step] = (create,)
"""STEPS[i] turns format i of these tables into format i + 1; the owner of the database runs them as its own."""
