"""The user's schedule of economic events, with the time at which each entry was published: a CSV file, checked.

A line says what was known from its publication on. `published_utc`, `scheduled_utc`, `region`, `importance` and `kind`
are needed; `withdrawn_utc` may say when an entry was called off or moved (the new time is a line of its own, published
then). Nothing that was published later is ever read for an earlier minute.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ScheduleError

I8 = NDArray[np.int64]

NEEDED = ("published_utc", "scheduled_utc", "region", "importance", "kind")
OPTIONAL = ("withdrawn_utc",)
REGIONS = {"us": 1, "eu": 2, "uk": 3, "jp": 4, "ch": 5, "ca": 6, "au": 7, "nz": 8, "other": 9}
"""Codes of `region`; eu is the euro area."""
KINDS = {"data": 1, "cb": 2, "speech": 3, "other": 4}
"""Codes of `kind`; cb is a decision of a central bank."""
IMPORTANCE = (1, 2, 3)
NEVER = np.iinfo(np.int64).max // 2


class Event(NamedTuple):
    """Minutes since 1970: published is the first one that may know of it, withdrawn the first that may know it is
    called off."""

    scheduled: int
    published: int
    withdrawn: int
    region: int
    importance: int
    kind: int


@dataclass(frozen=True)
class Schedule:
    """Events by their time."""

    events: tuple[Event, ...]

    @cached_property
    def table(self) -> I8:
        """One row an event, columns as in `Event`. Shape (events, 6)."""
        return np.array(self.events, dtype=np.int64).reshape(len(self.events), len(Event._fields))

    @cached_property
    def earliest_after(self) -> I8:
        """First publication among an event and all later ones. Shape (events,)."""
        published = self.table[:, 1]
        return np.ascontiguousarray(np.minimum.accumulate(published[::-1])[::-1])

    def digest(self, end: int) -> str:
        """Of all that could be known before minute `end`: what is published later changes nothing before it."""
        known = [e._replace(withdrawn=e.withdrawn if e.withdrawn < end else NEVER) for e in self.events
                 if e.published < end]  # fmt: skip
        return hashlib.sha256(repr(sorted(known)).encode()).hexdigest()[:32]


def make_schedule(events: Sequence[Sequence[int]]) -> Schedule:
    """Of events in any order."""
    return Schedule(tuple(sorted(Event(*event) for event in events)))


def read_schedule(path: Path) -> Schedule:
    """Raises ScheduleError, which names file, line and what is wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return make_schedule(list(_events(path, lines)))
    except OSError as error:
        raise ScheduleError(f"the schedule cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ScheduleError("the schedule is not UTF-8 text", where=str(path)) from error


def _events(path: Path, lines: Iterator[str]) -> Iterator[Event]:
    reader = csv.DictReader(lines)
    names = tuple(reader.fieldnames or ())
    if lacking := [name for name in NEEDED if name not in names]:
        fix = f"its first line names {', '.join(NEEDED)} and may name {', '.join(OPTIONAL)}"
        raise ScheduleError(f"the schedule lacks the column {', '.join(lacking)}", where=f"{path}:1", fix=fix)
    if unknown := [name for name in names if name not in (*NEEDED, *OPTIONAL)]:
        raise ScheduleError(f"the schedule has an unknown column {unknown[0]!r}", where=f"{path}:1",
                            fix=f"known: {', '.join((*NEEDED, *OPTIONAL))}")  # fmt: skip
    seen: dict[Event, int] = {}
    for row in reader:
        at = f"{path}:{reader.line_num}"
        if None in row or None in row.values():
            raise ScheduleError(f"the line has not {len(names)} values", where=at)
        event = _event(row, at)
        if event in seen:
            raise ScheduleError(f"the line says what line {seen[event]} says", where=at, fix="delete one of them")
        seen[event] = reader.line_num
        yield event


def _event(row: dict[str, str], at: str) -> Event:
    published, scheduled = (_minute(row[name], name, at) for name in ("published_utc", "scheduled_utc"))
    withdrawn = (NEVER, 0)
    if row.get("withdrawn_utc", "").strip():
        withdrawn = _minute(row["withdrawn_utc"], "withdrawn_utc", at)
        if withdrawn[0] < published[0]:
            raise ScheduleError("withdrawn before it was published", where=at)
    region, kind, importance = (row[name].strip().lower() for name in ("region", "kind", "importance"))
    for value, known, name in ((region, tuple(REGIONS), "region"), (kind, tuple(KINDS), "kind"),
                               (importance, tuple(str(i) for i in IMPORTANCE), "importance")):  # fmt: skip
        if value not in known:
            raise ScheduleError(f"{name} is {value!r}", where=at, fix=f"one of {', '.join(known)}")
    # known from the first whole minute after its publication; it happens in the minute of its time
    return Event(scheduled[0], sum(published), sum(withdrawn), REGIONS[region], int(importance), KINDS[kind])


def _minute(text: str, name: str, at: str) -> tuple[int, int]:
    """The minute a time lies in, and 1 if it is not the minute's beginning."""
    try:
        stamp = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise ScheduleError(f"{name} is {text!r}", where=at, fix="write it like 2024-03-08T13:30Z") from error
    if stamp.tzinfo is None or stamp.utcoffset() != UTC.utcoffset(None):
        raise ScheduleError(f"{name} {text!r} does not say that it is UTC", where=at, fix="write it like "
                            "2024-03-08T13:30Z")  # fmt: skip
    minute, rest = divmod(stamp.timestamp(), 60.0)
    return int(minute), int(rest > 0.0)
