"""Reading and settling the outbox; every function a small transaction, or none."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bqx.base.errors import BqxError, UsageError
from bqx.base.redaction import redact
from bqx.ops.tracker.outbox import Value


@dataclass(frozen=True, slots=True)
class Entry:
    """One waiting change."""

    id: int
    code: str
    fields: Mapping[str, Value]
    made_at: int
    run_id: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What settling a change did to one field; `before` is what the tracker held."""

    field: str
    before: Value
    after: Value
    effect: str  # created, changed or found


def refuse_inside(con: sqlite3.Connection) -> None:
    """Raise UsageError inside a transaction: what is sent cannot be rolled back with it."""
    if con.in_transaction:
        raise UsageError("changes are not sent inside a transaction", fix="commit first, then deliver")


@contextmanager
def transaction(con: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """BEGIN IMMEDIATE ... COMMIT, on a connection that has none open."""
    refuse_inside(con)
    con.execute("BEGIN IMMEDIATE")
    try:
        yield con
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


def due(con: sqlite3.Connection, limit: int) -> list[Entry]:
    """The oldest waiting change of each code, in the order of their ids."""
    sql = (
        "SELECT id, code, fields, made_at, run_id FROM tracker_outbox WHERE id IN "
        "(SELECT min(id) FROM tracker_outbox WHERE status = 'waiting' GROUP BY code) ORDER BY id LIMIT ?"
    )
    return [Entry(i, code, json.loads(f), at, run) for i, code, f, at, run in con.execute(sql, (limit,))]


def waiting(con: sqlite3.Connection) -> tuple[int, int | None]:
    """How many changes wait, and when the oldest was made."""
    count, oldest = con.execute("SELECT count(*), min(made_at) FROM tracker_outbox WHERE status = 'waiting'").fetchone()
    return int(count), oldest


def dead(con: sqlite3.Connection) -> int:
    return int(con.execute("SELECT count(*) FROM tracker_outbox WHERE status = 'dead'").fetchone()[0])


def superseded(con: sqlite3.Connection, entry: Entry) -> set[str]:
    """Fields that a later change of the same code has set already; an older one must not set them back."""
    sql = "SELECT fields FROM tracker_outbox WHERE code = ? AND id > ? AND status = 'delivered'"
    return {name for (text,) in con.execute(sql, (entry.code, entry.id)) for name in json.loads(text)}


def half_done(con: sqlite3.Connection, entry: Entry) -> list[Mapping[str, Value]]:
    """Fields of earlier dead letters of the code: what of them stands in the tracker is ours, not somebody else's."""
    sql = "SELECT fields FROM tracker_outbox WHERE code = ? AND id < ? AND status = 'dead'"
    return [json.loads(text) for (text,) in con.execute(sql, (entry.code, entry.id))]


def seen(con: sqlite3.Connection, tracker: str, code: str) -> dict[str, Value]:
    """What the fields of a record held when they were last read first, or written."""
    sql = "SELECT field, value FROM tracker_seen WHERE tracker = ? AND code = ?"
    return {field: json.loads(value) for field, value in con.execute(sql, (tracker, code))}


def note_seen(
    con: sqlite3.Connection, tracker: str, code: str, fields: Mapping[str, Value], now: int, *, replace: bool
) -> None:
    """Remember values; without `replace` those that are known stay: reading a change is not agreeing to it."""
    verb = "REPLACE" if replace else "IGNORE"
    sql = f"INSERT OR {verb} INTO tracker_seen VALUES (?, ?, ?, ?, ?)"  # noqa: S608 - one of two words
    con.executemany(sql, [(tracker, code, f, json.dumps(v), now) for f, v in fields.items()])


def settle(con: sqlite3.Connection, tracker: str, entry: Entry, effects: Sequence[Effect], now: int) -> None:
    """Delivered: the row, what is seen from now on, and the audit trail; the caller's transaction."""
    sql = "UPDATE tracker_outbox SET status = 'delivered', done_at = ?, error = NULL, reason = NULL WHERE id = ?"
    con.execute(sql, (now, entry.id))
    note_effects(con, tracker, entry, effects, now)


def note_effects(con: sqlite3.Connection, tracker: str, entry: Entry, effects: Sequence[Effect], now: int) -> None:
    """What is seen from now on, and the audit trail, in which a field of a change stands once."""
    note_seen(con, tracker, entry.code, {e.field: e.after for e in effects}, now, replace=True)
    sql = (
        "INSERT OR IGNORE INTO tracker_log (at, tracker, run_id, outbox_id, code, field, before, after, effect) VALUES "
    )
    sql += "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
    head = (now, tracker, entry.run_id, entry.id, entry.code)
    con.executemany(sql, [(*head, e.field, json.dumps(e.before), json.dumps(e.after), e.effect) for e in effects])


def bury(con: sqlite3.Connection, entry: Entry, error: BqxError, now: int) -> None:
    """A dead letter, with its reason; it stays until it is replayed or dropped."""
    sql = "UPDATE tracker_outbox SET status = 'dead', done_at = ?, error = ?, reason = ? WHERE id = ?"
    con.execute(sql, (now, error.code, redact(f"{error.what} -> {error.fix}" if error.fix else error.what), entry.id))


def note_failure(con: sqlite3.Connection, entries: Sequence[Entry], why: str) -> None:
    """Tried in vain: the changes keep waiting, and say why."""
    sql = "UPDATE tracker_outbox SET attempts = attempts + 1, reason = ? WHERE id = ?"
    con.executemany(sql, [(redact(why), entry.id) for entry in entries])


def replay(con: sqlite3.Connection, *, ids: Sequence[int] = ()) -> int:
    """Let dead letters wait again, all of them or those of `ids`; how many."""
    which = "" if not ids else f" AND id IN ({', '.join('?' * len(ids))})"
    sql = f"UPDATE tracker_outbox SET status = 'waiting', attempts = 0, done_at = NULL WHERE status = 'dead'{which}"  # noqa: S608
    with transaction(con):
        return con.execute(sql, tuple(ids)).rowcount


def drop(con: sqlite3.Connection, ids: Sequence[int], why: str, now: int) -> int:
    """Give dead letters up: the tracker stays as it is; how many."""
    sql = "UPDATE tracker_outbox SET status = 'dropped', done_at = ?, reason = ? WHERE status = 'dead' AND id = ?"
    with transaction(con):
        return sum(con.execute(sql, (now, redact(why), i)).rowcount for i in ids)
