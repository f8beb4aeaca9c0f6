"""Drift: what plan, evidence and tracker say of the same field, where they do not agree."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from bqx.ops.tracker import box
from bqx.ops.tracker.outbox import Value
from bqx.ops.tracker.port import Found, Tracker, same

Records = Mapping[str, Mapping[str, Value]]
"""Code -> our fields and values."""
UNFOUNDED = "plan without evidence"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one record. plan, tracker : in the tracker's words; evidence : in ours, None without any.

    why : `not in the tracker`, `deleted in the tracker`, `N records`, `waiting`, `not sent`, `changed in the tracker`
    or `plan without evidence`.
    """

    code: str
    field: str
    plan: Value
    evidence: Value
    tracker: Value
    why: str

    @property
    def foreign(self) -> bool:
        """Whether somebody else's hand made it, so that `sync` leaves it alone unless told."""
        return self.why in ("deleted in the tracker", "changed in the tracker") or self.why.endswith(" records")

    def __str__(self) -> str:
        claim = f" evidence {self.evidence!r}," if self.why == UNFOUNDED else ""
        return f"{self.code} {self.field}: plan {self.plan!r},{claim} tracker {self.tracker!r} ({self.why})"


def differences(
    con: sqlite3.Connection,
    tracker: Tracker,
    expected: Records,
    evidence: Records | None = None,
    *,
    found: Mapping[str, Found] | None = None,
) -> list[Difference]:
    """Every field of `expected` that the tracker shows otherwise or that `evidence` contradicts, by code and field.

    Reads the tracker unless `found` is given. Records of the tracker that are not expected are nobody's business.
    """
    there = tracker.read() if found is None else found
    queued, out = _queued(con), []
    for code in sorted(expected):
        record, known = there.get(code), box.seen(con, tracker.identity, code)
        shown = tracker.shown(code, expected[code])
        for field in sorted(shown):
            value = record.fields.get(field) if record is not None else None
            claim = (evidence or {}).get(code, {}).get(field)
            why = ""
            if evidence is not None and field in evidence.get(code, {}) and not same(claim, expected[code][field]):
                why = UNFOUNDED
            elif record is None:
                why = "deleted in the tracker" if any(v is not None for v in known.values()) else "not in the tracker"
            elif record.copies > 1:
                why = f"{record.copies} records"
            elif not same(value, shown[field]):
                changed = field in known and not same(value, known[field])
                why = "changed in the tracker" if changed else "not sent"
            if why == "not sent" and field in queued.get(code, ()):
                why = "waiting"
            if why:
                out.append(Difference(code, field, shown[field], claim, value, why))
    return out


def _queued(con: sqlite3.Connection) -> dict[str, set[str]]:
    out: dict[str, set[str]] = {}
    for code, fields in con.execute("SELECT code, fields FROM tracker_outbox WHERE status = 'waiting'"):
        out.setdefault(code, set()).update(json.loads(fields))
    return out
