"""Tables of the manifest and the steps that bring an older one up to date.

A format version is `PRAGMA user_version`; step i turns format i into i + 1, and format 0 is an empty file.
Times are integer microseconds UTC, minutes are minutes since 1970.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

APPLICATION_ID = 0x62717801  # "bqx", 1: tells a manifest from any other SQLite file

Step = Callable[[sqlite3.Connection], None]

_FORMAT_1: tuple[str, ...] = (
    "CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    # one row a committed change; every known_from and known_to is one of these
    "CREATE TABLE change (known_at INTEGER PRIMARY KEY, kind TEXT NOT NULL) STRICT",
    """CREATE TABLE file (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, file_hash TEXT NOT NULL,
        columns TEXT NOT NULL) STRICT""",
    "CREATE TABLE dataset (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    """CREATE TABLE partition (
        id INTEGER PRIMARY KEY, dataset_id INTEGER NOT NULL REFERENCES dataset(id), pair TEXT NOT NULL,
        ym TEXT NOT NULL, UNIQUE (dataset_id, pair, ym)) STRICT""",
    """CREATE TABLE generation (
        id INTEGER PRIMARY KEY, partition_id INTEGER NOT NULL REFERENCES partition(id),
        known_from INTEGER NOT NULL REFERENCES change(known_at),
        known_to INTEGER REFERENCES change(known_at), simulated INTEGER NOT NULL,
        CHECK (known_to IS NULL OR known_to > known_from)) STRICT""",
    "CREATE UNIQUE INDEX generation_current ON generation(partition_id) WHERE known_to IS NULL",
    "CREATE INDEX generation_partition ON generation(partition_id, known_from)",
    """CREATE TABLE piece (
        generation_id INTEGER NOT NULL REFERENCES generation(id) ON DELETE CASCADE, seq INTEGER NOT NULL,
        file_id INTEGER NOT NULL REFERENCES file(id), known_from INTEGER NOT NULL REFERENCES change(known_at),
        kind TEXT NOT NULL CHECK (kind IN ('month', 'tail')), row_start INTEGER NOT NULL, rows INTEGER NOT NULL,
        first_minute INTEGER NOT NULL, last_minute INTEGER NOT NULL, complete_through INTEGER NOT NULL,
        ts_hash TEXT NOT NULL, content_hash TEXT NOT NULL, input_hash TEXT NOT NULL, code_version TEXT NOT NULL,
        null_counts TEXT NOT NULL, PRIMARY KEY (generation_id, seq)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX piece_file ON piece(file_id)",
    """CREATE TABLE source (
        id INTEGER PRIMARY KEY, known_at INTEGER NOT NULL REFERENCES change(known_at), pair TEXT NOT NULL,
        vendor TEXT NOT NULL, price_side TEXT NOT NULL, simulated INTEGER NOT NULL,
        record TEXT NOT NULL, UNIQUE (pair, record)) STRICT""",
    """CREATE TABLE bar_month (
        id INTEGER PRIMARY KEY, pair TEXT NOT NULL, ym TEXT NOT NULL,
        known_from INTEGER NOT NULL REFERENCES change(known_at),
        known_to INTEGER REFERENCES change(known_at), file_id INTEGER NOT NULL REFERENCES file(id),
        rows INTEGER NOT NULL, first_minute INTEGER NOT NULL, last_minute INTEGER NOT NULL,
        content_hash TEXT NOT NULL, simulated INTEGER NOT NULL,
        CHECK (known_to IS NULL OR known_to > known_from)) STRICT""",
    "CREATE UNIQUE INDEX bar_month_current ON bar_month(pair, ym) WHERE known_to IS NULL",
    "CREATE INDEX bar_month_file ON bar_month(file_id)",
    """CREATE TABLE bar_month_source (
        bar_month_id INTEGER NOT NULL REFERENCES bar_month(id), source_id INTEGER NOT NULL REFERENCES source(id),
        PRIMARY KEY (bar_month_id, source_id)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE bar_day (
        bar_month_id INTEGER NOT NULL REFERENCES bar_month(id), day INTEGER NOT NULL, rows INTEGER NOT NULL,
        hash TEXT NOT NULL, PRIMARY KEY (bar_month_id, day)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE baseline (
        pair TEXT NOT NULL, epoch INTEGER NOT NULL, t0 INTEGER NOT NULL, baseline_ts INTEGER NOT NULL,
        baseline_mid REAL NOT NULL CHECK (baseline_mid > 0), source_hash TEXT NOT NULL,
        known_at INTEGER NOT NULL REFERENCES change(known_at), PRIMARY KEY (pair, epoch)) STRICT""",
    """CREATE TABLE calendar (
        digest TEXT PRIMARY KEY, version TEXT NOT NULL, content TEXT NOT NULL,
        known_at INTEGER NOT NULL REFERENCES change(known_at)) STRICT""",
    *(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in ("source", "baseline", "calendar")
        for verb in ("update", "delete")
    ),
    """CREATE TABLE lease (
        name TEXT PRIMARY KEY, holder TEXT NOT NULL, pid INTEGER NOT NULL, host TEXT NOT NULL,
        started INTEGER NOT NULL, heartbeat INTEGER NOT NULL, run_id TEXT NOT NULL) STRICT""",
    """CREATE TABLE unit (
        dataset TEXT NOT NULL, ym TEXT NOT NULL, status TEXT NOT NULL, reason TEXT, attempts INTEGER NOT NULL,
        seconds REAL, rows INTEGER, run_id TEXT NOT NULL, updated INTEGER NOT NULL,
        PRIMARY KEY (dataset, ym)) STRICT""",
    """CREATE TABLE certificate (
        dataset TEXT NOT NULL, "column" TEXT NOT NULL, code_version TEXT NOT NULL, data_hash TEXT NOT NULL,
        date INTEGER NOT NULL, result TEXT NOT NULL,
        PRIMARY KEY (dataset, "column", code_version, data_hash)) STRICT""",
)


def _create(con: sqlite3.Connection) -> None:
    for statement in _FORMAT_1:
        con.execute(statement)


_FORMAT_2: tuple[str, ...] = (
    # what the catalogue said of a dataset's columns, and which code said so when it built
    "CREATE TABLE declaration (digest TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT",
    """CREATE TABLE declared_by (
        dataset TEXT NOT NULL, code_version TEXT NOT NULL, digest TEXT NOT NULL REFERENCES declaration(digest),
        known_at INTEGER NOT NULL, PRIMARY KEY (dataset, code_version)) STRICT, WITHOUT ROWID""",
)


def _add_declarations(con: sqlite3.Connection) -> None:
    for statement in _FORMAT_2:
        con.execute(statement)


_FORMAT_3: tuple[str, ...] = (
    # estimates from trailing bars: where they hold from, what they saw, in little-endian float64
    """CREATE TABLE fit (
        dataset TEXT NOT NULL, name TEXT NOT NULL, pair TEXT NOT NULL, point INTEGER NOT NULL,
        seen_from INTEGER NOT NULL, input_hash TEXT NOT NULL, "values" BLOB NOT NULL, seconds REAL NOT NULL,
        made_at INTEGER NOT NULL, PRIMARY KEY (name, pair, point)) STRICT, WITHOUT ROWID""",
)


def _add_fits(con: sqlite3.Connection) -> None:
    for statement in _FORMAT_3:
        con.execute(statement)


_FORMAT_4: tuple[str, ...] = (
    # what migrations of dataset names did, in the same transaction as the renames
    """CREATE TABLE migration (
        id INTEGER PRIMARY KEY, migration TEXT NOT NULL, plan_hash TEXT NOT NULL, kind TEXT NOT NULL,
        at INTEGER NOT NULL, run_id TEXT NOT NULL, tool TEXT NOT NULL, detail TEXT NOT NULL) STRICT""",
    *(
        f"CREATE TRIGGER migration_no_{verb} BEFORE {verb} ON migration "
        "BEGIN SELECT RAISE(ABORT, 'migration is append-only'); END"
        for verb in ("update", "delete")
    ),
)


def _add_migrations(con: sqlite3.Connection) -> None:
    for statement in _FORMAT_4:
        con.execute(statement)


STEPS: Sequence[Step] = (_create, _add_declarations, _add_fits, _add_migrations)
"""STEPS[i] turns format i into format i + 1; the format this code writes is len(STEPS)."""
