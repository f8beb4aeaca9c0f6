"""What the outbox and the audit trail hold, for people."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from bqx.base.errors import UsageError
from bqx.store.known import known_text

_TRAIL = ("at", "tracker", "run_id", "change", "code", "field", "before", "after", "effect")
_LETTER = ("change", "code", "fields", "made_at", "run_id", "status", "attempts", "error", "reason", "done_at")


def trail(con: sqlite3.Connection, *, code: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """The newest `limit` fields that were written or found in place, oldest first; times as ISO text."""
    where, values = ("WHERE code = ?", (code,)) if code else ("", ())
    names = "at, tracker, run_id, outbox_id, code, field, before, after, effect"
    sql = f"SELECT {names} FROM tracker_log {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - constants
    rows = [dict(zip(_TRAIL, row, strict=True)) for row in con.execute(sql, (*values, limit))]
    for row in rows:
        row |= {"at": known_text(row["at"]), "after": json.loads(row["after"])}
        row["before"] = None if row["before"] is None else json.loads(row["before"])
    return rows[::-1]


def changes(con: sqlite3.Connection, status: str, *, code: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """Changes of a status (waiting, delivered, dead, dropped), the newest `limit` of them, oldest first."""
    names = "id, code, fields, made_at, run_id, status, attempts, error, reason, done_at"
    where, values = ("AND code = ?", (code,)) if code else ("", ())
    sql = f"SELECT {names} FROM tracker_outbox WHERE status = ? {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - constants
    rows = [dict(zip(_LETTER, row, strict=True)) for row in con.execute(sql, (status, *values, limit))]
    for row in rows:
        done = row["done_at"]
        row |= {"fields": json.loads(row["fields"]), "made_at": known_text(row["made_at"])}
        row["done_at"] = None if done is None else known_text(done)
    return rows[::-1]


def dead_ids(con: sqlite3.Connection, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """`wanted`, or all dead letters when empty; UsageError for an id that is none."""
    known = [i for (i,) in con.execute("SELECT id FROM tracker_outbox WHERE status = 'dead' ORDER BY id")]
    strange = [str(i) for i in wanted if i not in known]
    if strange:
        raise UsageError(
            f"{', '.join(strange)} is no dead letter", fix=f"there are: {', '.join(map(str, known)) or 'none'}"
        )
    return wanted or tuple(known)
