"""The outbox: changes for the tracker, written in the transaction of the evidence that they tell of."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Mapping

from bqx.base.errors import TrackerPayload
from bqx.base.redaction import scrub
from bqx.base.runlog import current_run

Value = str | int | float | None
"""What a field holds; None clears it."""

CLAIMS = frozenset({"populated", "validated", "in model", "done"})
"""Statuses that claim work: a change to one of them names its `evidence`."""
_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MAX_TEXT = 100_000


def enqueue(con: sqlite3.Connection, *, code: str, fields: Mapping[str, Value], made_at: int) -> int:
    """Queue "record `code` shall have these fields" in the open transaction of `con`; the row's id.

    code : names one record of the tracker, exactly, such as 1.6.9. fields : our names (status, name, hours, evidence,
    ...); the tracker's mapping says where they go. made_at : microseconds UTC.

    Nothing is sent: a rolled back transaction leaves no trace. Changes of one code are delivered in the order of their
    ids. Raises TrackerPayload for a status that claims work without `evidence`, for what looks like a secret and for
    names or values that no tracker can hold.
    """
    check_payload(code, fields)
    text = json.dumps(dict(fields), sort_keys=True, allow_nan=False, ensure_ascii=False)
    sql = "INSERT INTO tracker_outbox (code, fields, made_at, run_id) VALUES (?, ?, ?, ?)"
    row = con.execute(sql, (code, text, made_at, current_run().run_id)).lastrowid
    assert row is not None
    return row


def check_payload(code: str, fields: Mapping[str, Value]) -> None:
    """Raise TrackerPayload unless this may be sent; called when a change is queued and again before it is sent."""
    if not _CODE.fullmatch(code):
        raise TrackerPayload(
            "a record's code is 1-64 letters, digits, spaces and . _ -, and begins and ends with one of the first two",
            where="code of a tracker change",
            fix="use a code such as 1.6.9",
        )
    where = f"tracker change of {code}"
    if not fields:
        raise TrackerPayload("no field is given", where=where, fix="say what changes")
    for name, value in fields.items():
        if not _FIELD.fullmatch(name):
            raise TrackerPayload("a field's name is lower case letters, digits and _", where=where)
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise TrackerPayload(f"field {name} is a {type(value).__name__}", where=where, fix="give text or a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise TrackerPayload(f"field {name} is {value}", where=where, fix="give None for what is not known")
        if isinstance(value, str) and len(value) > _MAX_TEXT:
            raise TrackerPayload(f"field {name} has {len(value)} characters, at most {_MAX_TEXT} fit", where=where)
    if fields.get("status") in CLAIMS and not fields.get("evidence"):
        raise TrackerPayload(
            f"status {fields['status']!r} without evidence",
            where=where,
            fix="name it in the field `evidence`",
        )
    clean = scrub(dict(fields))
    shown = [name for name, value in fields.items() if clean.get(name) != value]
    if shown or scrub(code) != code:
        raise TrackerPayload(
            f"the value of {', '.join(shown) or 'the code'} looks like a secret",
            where="tracker change" if scrub(code) != code else where,
            fix="take it out, or give the field a name that does not speak of secrets",
        )
