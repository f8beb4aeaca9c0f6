"""Sync: deliver what waits, read everything, send what was never sent, leave alone what others changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from bqx.base.errors import UsageError
from bqx.base.runlog import current_run
from bqx.ops.tracker import box
from bqx.ops.tracker.clock import SYSTEM, Clock
from bqx.ops.tracker.delivery import Delivery, deliver
from bqx.ops.tracker.drift import UNFOUNDED, Difference, Records, differences
from bqx.ops.tracker.outbox import enqueue
from bqx.ops.tracker.port import Found, Tracker


@dataclass(slots=True)
class Synced:
    """What one sync did. records : in the tracker; left : differences that remain; at : microseconds UTC, None when it
    did not come to an end."""

    delivery: Delivery
    records: int = 0
    queued: list[int] = field(default_factory=list)
    left: list[Difference] = field(default_factory=list)
    at: int | None = None


def sync(
    con: sqlite3.Connection,
    tracker: Tracker,
    expected: Records,
    evidence: Records | None = None,
    *,
    overwrite: Collection[str] = (),
    clock: Clock | None = None,
) -> Synced:
    """Make the tracker say what `expected` says (code -> our fields), as far as nobody else's words are lost.

    Differences by another hand stay and are returned in `left`, but for the codes of `overwrite`. A status that
    evidence contradicts is not sent. The time is recorded when everything was delivered and read; errors of the
    tracker are in `delivery.problem`, not raised.
    """
    clock = clock or SYSTEM
    strange = sorted(set(overwrite) - set(expected))
    if strange:
        raise UsageError(f"the plan has no record {', '.join(strange)}", fix="name codes that `bqx tracker diff` shows")
    if overwrite:
        tracker.probe()
        _agree(con, tracker, overwrite, clock)
    out = Synced(deliver(con, tracker, clock=clock))
    if out.delivery.problem is not None or out.delivery.waiting:
        return out
    tracker.probe()
    there = tracker.read()
    out.left = differences(con, tracker, expected, evidence, found=there)
    out.queued = _queue(con, expected, out.left, clock)
    if out.queued:
        more = deliver(con, tracker, clock=clock)
        _add(out.delivery, more)
        if more.problem is not None or more.waiting:
            return out
        there = tracker.read()
        out.left = differences(con, tracker, expected, evidence, found=there)
    out.records, out.at = len(there), clock.now_us()
    _remember(con, tracker, there, expected, out.at)
    return out


def last_sync(con: sqlite3.Connection, tracker: Tracker) -> int | None:
    """When everything was delivered and read last, microseconds UTC; None for never."""
    row = con.execute("SELECT at FROM tracker_sync WHERE tracker = ?", (tracker.identity,)).fetchone()
    return None if row is None else int(row[0])


def _agree(con: sqlite3.Connection, tracker: Tracker, codes: Collection[str], clock: Clock) -> None:
    """Take what the tracker holds of `codes` as seen, so that it may be written over; their dead letters wait again."""
    there = tracker.read(codes)
    with box.transaction(con):
        for code in codes:
            con.execute("DELETE FROM tracker_seen WHERE tracker = ? AND code = ?", (tracker.identity, code))
            if code in there:
                box.note_seen(con, tracker.identity, code, there[code].fields, clock.now_us(), replace=True)
    for code in codes:
        ids = [i for (i,) in con.execute("SELECT id FROM tracker_outbox WHERE status = 'dead' AND code = ?", (code,))]
        if ids:
            box.replay(con, ids=ids)


def _queue(con: sqlite3.Connection, expected: Records, found: list[Difference], clock: Clock) -> list[int]:
    left_alone = {d.code for d in found if d.foreign or d.why == UNFOUNDED}
    codes = sorted({d.code for d in found} - left_alone)
    if not codes:
        return []
    with box.transaction(con):
        return [enqueue(con, code=code, fields=expected[code], made_at=clock.now_us()) for code in codes]


def _remember(
    con: sqlite3.Connection, tracker: Tracker, there: Mapping[str, Found], expected: Records, now: int
) -> None:
    with box.transaction(con):
        for code in expected:
            if code in there and there[code].copies == 1:
                box.note_seen(con, tracker.identity, code, there[code].fields, now, replace=False)
        run = current_run().run_id
        con.execute("INSERT OR REPLACE INTO tracker_sync VALUES (?, ?, ?, ?)", (tracker.identity, now, run, len(there)))


def _add(total: Delivery, more: Delivery) -> None:
    total.delivered += more.delivered
    total.dead += more.dead
    total.waiting, total.problem = more.waiting, more.problem
    total.longest_s = max(total.longest_s, more.longest_s)
