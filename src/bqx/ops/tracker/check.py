"""The gate in front of a stage: is the tracker up to date, and does it say what plan and evidence say?"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from bqx.base.errors import TrackerDrift, TrackerStale
from bqx.ops.tracker import box
from bqx.ops.tracker.clock import SYSTEM, Clock
from bqx.ops.tracker.drift import UNFOUNDED, Difference, Records, differences
from bqx.ops.tracker.port import Tracker
from bqx.ops.tracker.sync import last_sync

MAX_AGE_S = 900.0
_AHEAD_S = 60.0
"""How far a clock may have been set back since the last sync."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check that passed saw. age_s : since the last sync; records, fields : compared."""

    tracker: str
    reached: str
    age_s: float
    records: int
    fields: int


def check(
    con: sqlite3.Connection,
    tracker: Tracker,
    expected: Records,
    evidence: Records | None = None,
    *,
    max_age_s: float = MAX_AGE_S,
    clock: Clock | None = None,
) -> Verdict:
    """Pass, or raise; `bqx stage run` stops on what this raises.

    con : the database of the evidence and its outbox. expected : code -> our fields, as the plan has them now.
    evidence : the same as the evidence has them; where given, the plan must agree with it.
    TrackerStale: the last sync is older than `max_age_s`, or changes wait. TrackerDrift: dead letters, or a difference.
    Otherwise TrackerUnreachable, TrackerAccess, TrackerSchema: the tracker is read now, not remembered.
    """
    clock = clock or SYSTEM
    now, last = clock.now_us(), last_sync(con, tracker)
    waiting, oldest = box.waiting(con)
    if waiting:
        age = (now - (oldest or now)) / 1e6
        raise TrackerStale(
            f"{waiting} changes wait to be delivered, the oldest for {_age(age)}",
            where=tracker.name,
            fix="run `bqx tracker sync`; `bqx tracker log --waiting` says what hinders them",
        )
    if last is None or not -_AHEAD_S <= (now - last) / 1e6 <= max_age_s:
        known = "there was no sync yet" if last is None else f"the last sync was {_age((now - last) / 1e6)} ago"
        raise TrackerStale(f"{known}, at most {_age(max_age_s)} are allowed", where=tracker.name)
    buried = box.dead(con)
    if buried:
        raise TrackerDrift(
            f"{buried} changes could not be delivered",
            where=tracker.name,
            fix="`bqx tracker log --dead` says why; then `bqx tracker sync --replay` or `--drop`",
        )
    reached = tracker.probe()
    found = differences(con, tracker, expected, evidence)
    if found:
        raise TrackerDrift(_summary(found), where=tracker.name)
    fields = sum(len(record) for record in expected.values())
    return Verdict(tracker.name, reached, (now - last) / 1e6, len(expected), fields)


def _summary(found: list[Difference]) -> str:
    found = sorted(found, key=lambda d: d.why != UNFOUNDED)  # the gravest first
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{len(found)} differences: {'; '.join(str(d) for d in found[:_SHOWN])}{more}"


def _age(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
