"""plan.sqlite: runs, evidence, reports, and what a project added to the plan."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from bqx.base.errors import LeaseError
from bqx.base.runlog import current_run
from bqx.build.lease import Holder, born, is_gone
from bqx.ops.stages.schema import MARK, STEPS
from bqx.store.database import Database
from bqx.store.known import now_us

NAME = "plan.sqlite"
Level = Literal["schema", "populated", "validated", "in model"]
LEVELS: tuple[str, ...] = ("defined", "schema", "populated", "validated", "in model")
"""Statuses of a stage, in order; the last three count as progress."""
_RUN = "id, stage, plan, run_id, started, finished, status, reason, born, pid, host"
_EVIDENCE = "id, run, stage, level, computable, made_at, run_id, plan, plan_digest, data_hash, content"
_EVIDENCE_FIELDS = (*_EVIDENCE.split(", ")[:-1], "text")


@dataclass(frozen=True, slots=True)
class Run:
    """A run of one stage; `status` running means that its process lives."""

    id: int
    stage: str
    plan: str
    run_id: str
    started: int
    finished: int | None
    status: str
    reason: str

    @property
    def seconds(self) -> float | None:
        return None if self.finished is None else (self.finished - self.started) / 1e6


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found of a stage at a time. computable : False when pairs, source or history lack for some columns."""

    id: int
    run: int
    stage: str
    level: str
    computable: bool
    made_at: int
    run_id: str
    plan: str
    plan_digest: str
    data_hash: str
    text: str

    @property
    def content(self) -> Mapping[str, Any]:
        """What was found; shared by all who ask, so not to be changed."""
        return _parsed(self.text)


@lru_cache(maxsize=512)
def _parsed(text: str) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


class PlanState(Database):
    """The state of a project's plan; it is made when a stage is first run."""

    def __init__(self, root: Path) -> None:
        super().__init__(root / NAME, kind="plan state", mark=MARK, steps=STEPS)

    @classmethod
    @contextmanager
    def existing(cls, root: Path) -> Iterator[PlanState | None]:
        """The state where there is one, closed afterwards; nothing is made."""
        if not (root / NAME).is_file():
            yield None
            return
        with closing(cls(root)) as state:
            yield state

    def begin(self, stage: str, plan: str) -> int:
        """Open a run; raises LeaseError while another lives. A run whose process is gone is marked as killed."""
        pid = os.getpid()
        with self.transaction() as con:
            for key, found in _running(con):
                if not is_gone(found):
                    raise LeaseError(f"another stage runs in this project: {found}", fix="wait for it, or end it")
                con.execute("UPDATE run SET status = 'killed', reason = 'its process is gone' WHERE id = ?", (key,))
            sql = f"INSERT INTO run ({_RUN.partition(', ')[2]}) VALUES (?, ?, ?, ?, NULL, 'running', '', ?, ?, ?)"  # noqa: S608
            values = (stage, plan, current_run().run_id, now_us(), born(pid), pid, socket.gethostname())
            return int(con.execute(sql, values).lastrowid or 0)

    def end(self, run: int, status: str, reason: str = "") -> None:
        """Close a run that has given no evidence of success."""
        with self.transaction() as con:
            end_run(con, run, status, reason)

    def runs(self, stage: str | None = None) -> list[Run]:
        """In order of beginning, dead ones as killed."""
        where, values = ("WHERE stage = ?", (stage,)) if stage else ("", ())
        with self.connection() as con:
            rows = con.execute(f"SELECT {_RUN} FROM run {where} ORDER BY id", values).fetchall()  # noqa: S608
        out = []
        for row in rows:
            status, reason = row[6], row[7]
            if status == "running" and is_gone(_holder(row)):
                status, reason = "killed", "its process is gone"
            out.append(Run(row[0], row[1], row[2], row[3], row[4], row[5], status, reason))
        return out

    def evidence(self, stage: str | None = None) -> list[Evidence]:
        """In the order it was found."""
        where, values = ("WHERE stage = ?", (stage,)) if stage else ("", ())
        with self.connection() as con:
            rows = con.execute(f"SELECT {_EVIDENCE} FROM evidence {where} ORDER BY id", values).fetchall()  # noqa: S608
        return [
            Evidence(**{**dict(zip(_EVIDENCE_FIELDS, row, strict=True)), "computable": bool(row[4])}) for row in rows
        ]

    def report(self, evidence: int) -> tuple[str, str, str]:
        """State, reason and path of an evidence's report; a draft before anything was written."""
        with self.connection() as con:
            sql = "SELECT state, reason, path FROM report WHERE evidence = ?"
            row = con.execute(sql, (evidence,)).fetchone()
        return (row[0], row[1], row[2]) if row else ("draft", "", "")

    def put_report(self, evidence: int, state: str, reason: str = "", path: str = "") -> None:
        with self.transaction() as con:
            sql = "INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?, ?)"
            con.execute(sql, (evidence, state, reason, path, now_us()))

    def items(self, kind: str) -> list[dict[str, Any]]:
        """What the project added of a kind, in the order it was added."""
        with self.connection() as con:
            rows = con.execute("SELECT content FROM item WHERE kind = ? ORDER BY added, id", (kind,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def closings(self) -> dict[str, tuple[int, str, str]]:
        """Closed blockers: when, by which run, and what was seen."""
        with self.connection() as con:
            rows = con.execute("SELECT blocker, closed, run_id, observed FROM closing").fetchall()
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def close_blocker(self, blocker: str, observed: str) -> None:
        with self.transaction() as con:
            sql = "INSERT OR IGNORE INTO closing VALUES (?, ?, ?, ?)"
            con.execute(sql, (blocker, now_us(), current_run().run_id, observed))


def end_run(con: sqlite3.Connection, run: int, status: str, reason: str = "") -> None:
    """Close a run in an open transaction."""
    sql = "UPDATE run SET finished = ?, status = ?, reason = ? WHERE id = ?"
    con.execute(sql, (now_us(), status, reason, run))


def put_evidence(
    con: sqlite3.Connection,
    *,
    run: int,
    stage: str,
    level: Level,
    computable: bool,
    plan: str,
    plan_digest: str,
    data_hash: str,
    content: Mapping[str, Any],
) -> int:
    """Store evidence in an open transaction; its id."""
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    sql = f"INSERT INTO evidence ({_EVIDENCE.partition(', ')[2]}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
    values = (run, stage, level, computable, now_us(), current_run().run_id, plan, plan_digest, data_hash, text)
    return int(con.execute(sql, values).lastrowid or 0)


def _running(con: sqlite3.Connection) -> list[tuple[int, Holder]]:
    rows = con.execute(f"SELECT {_RUN} FROM run WHERE status = 'running'").fetchall()  # noqa: S608
    return [(row[0], _holder(row)) for row in rows]


def _holder(row: tuple[Any, ...]) -> Holder:
    """A run's process; one on another host is believed for ever, since it leaves no heartbeat here."""
    return Holder(row[8], row[9], row[10], row[4], now_us(), row[3])
