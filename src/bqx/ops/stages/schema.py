"""Tables of plan.sqlite and the steps that bring an older file up to date; times are microseconds UTC."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from bqx.ops.tracker import schema as tracker
from bqx.store.schema import Step

MARK = 0x62717802  # "bqx", 2

_FORMAT_1: tuple[str, ...] = (
    # one row a `bqx stage run` of one stage; a killed one still says running, and its process is gone
    """CREATE TABLE run (
        id INTEGER PRIMARY KEY, stage TEXT NOT NULL, plan TEXT NOT NULL, run_id TEXT NOT NULL, started INTEGER NOT NULL,
        finished INTEGER, status TEXT NOT NULL
            CHECK (status IN ('running', 'passed', 'not computable', 'failed', 'interrupted', 'killed')),
        reason TEXT NOT NULL DEFAULT '', born TEXT NOT NULL, pid INTEGER NOT NULL, host TEXT NOT NULL) STRICT""",
    "CREATE UNIQUE INDEX run_running ON run(status) WHERE status = 'running'",
    "CREATE INDEX run_stage ON run(stage, id)",
    # what moves a status; data_hash says of which partitions it speaks
    """CREATE TABLE evidence (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run(id), stage TEXT NOT NULL, level TEXT NOT NULL
            CHECK (level IN ('schema', 'populated', 'validated', 'in model')),
        computable INTEGER NOT NULL, made_at INTEGER NOT NULL, run_id TEXT NOT NULL, plan TEXT NOT NULL,
        plan_digest TEXT NOT NULL, data_hash TEXT NOT NULL, content TEXT NOT NULL) STRICT""",
    "CREATE INDEX evidence_stage ON evidence(stage, id)",
    """CREATE TABLE report (
        evidence INTEGER PRIMARY KEY REFERENCES evidence(id), state TEXT NOT NULL
            CHECK (state IN ('draft', 'verified', 'published')),
        reason TEXT NOT NULL DEFAULT '', path TEXT NOT NULL DEFAULT '', updated INTEGER NOT NULL) STRICT""",
    # what a project adds to the plan's risks, lessons, approvals and blockers
    """CREATE TABLE item (
        kind TEXT NOT NULL CHECK (kind IN ('risk', 'lesson', 'approval', 'blocker')), id TEXT NOT NULL,
        content TEXT NOT NULL, added INTEGER NOT NULL, run_id TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT""",
    """CREATE TABLE closing (
        blocker TEXT PRIMARY KEY, closed INTEGER NOT NULL, run_id TEXT NOT NULL, observed TEXT NOT NULL) STRICT""",
    *(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in ("evidence", "closing")
        for verb in ("update", "delete")
    ),
)


def _create(con: sqlite3.Connection) -> None:
    for statement in _FORMAT_1:
        con.execute(statement)


STEPS: Sequence[Step] = (_create, *tracker.STEPS[:1])
"""STEPS[i] turns format i into format i + 1."""
