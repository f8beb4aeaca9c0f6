"""Delivery: read, compare, settle what is in place, write the rest, and again; so that a crash anywhere is harmless."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from bqx.base.errors import (
    BqxError,
    TrackerAccess,
    TrackerConflict,
    TrackerError,
    TrackerKey,
    TrackerPayload,
    TrackerSchema,
    TrackerUnreachable,
)
from bqx.base.runlog import event
from bqx.ops.tracker import box
from bqx.ops.tracker.box import Effect, Entry
from bqx.ops.tracker.clock import SYSTEM, Clock
from bqx.ops.tracker.lock import delivering
from bqx.ops.tracker.outbox import Value, check_payload
from bqx.ops.tracker.port import Change, Found, Tracker, Uncertain, same

_TRIES = 5
"""Writes of one change that the tracker takes without showing it, until it is a dead letter."""
_DOUBTS = 8
"""Writes in a row with unknown outcome, until the tracker counts as out of reach."""


@dataclass(slots=True)
class Delivery:
    """What one call did. delivered, dead : outbox ids; waiting : changes left; longest_s : oldest change's age when it
    was delivered; problem : why it stopped early."""

    delivered: list[int] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)
    waiting: int = 0
    longest_s: float = 0.0
    problem: BqxError | None = None


@dataclass(slots=True)
class _Written:
    """What was sent for an entry in this call, until it has been read back."""

    before: Mapping[str, Value]
    effect: str
    tries: int  # of those the tracker accepted


def deliver(con: sqlite3.Connection, tracker: Tracker, *, clock: Clock | None = None) -> Delivery:
    """Send what waits in the outbox of `con`, oldest first, one change a code at a time.

    A change is delivered when the tracker was read and holds its values: after a crash what had been sent is found in
    place, what had not is sent. A field that holds neither the wanted value nor what was last seen there was changed
    by somebody: the change becomes a dead letter (BQX716), as do ambiguous codes, values the tracker cannot hold and
    payloads with secrets. When the tracker cannot be reached or refuses the token, everything keeps waiting and
    `problem` says why. One process at a time delivers; a second one returns at once.
    """
    clock, out = clock or SYSTEM, Delivery()
    box.refuse_inside(con)
    with delivering(con) as mine:
        if mine and box.waiting(con)[0]:
            try:
                tracker.probe()
                _Round(con, tracker, clock, out).run()
            except BqxError as error:
                out.problem = error
                with box.transaction(con):
                    box.note_failure(con, box.due(con, tracker.batch), error.what)
    out.waiting = box.waiting(con)[0]
    event(
        "tracker.deliver", tracker=tracker.name, delivered=len(out.delivered), dead=len(out.dead), waiting=out.waiting
    )
    return out


class _Round:
    """The loop of one call."""

    def __init__(self, con: sqlite3.Connection, tracker: Tracker, clock: Clock, out: Delivery) -> None:
        self._con, self._tracker, self._clock, self._out = con, tracker, clock, out
        self._written: dict[int, _Written] = {}
        self._one_by_one: set[int] = set()
        self._doubts = 0

    def run(self) -> None:
        while entries := box.due(self._con, self._tracker.batch):
            self._batch(entries)

    def _batch(self, entries: list[Entry]) -> None:
        wanted: dict[int, dict[str, Value]] = {}
        for entry in entries:
            try:
                check_payload(entry.code, entry.fields)
                left = {k: v for k, v in entry.fields.items() if k not in box.superseded(self._con, entry)}
                wanted[entry.id] = self._tracker.shown(entry.code, left)
            except (TrackerPayload, TrackerSchema) as error:
                self._bury(entry, error)
        entries = [entry for entry in entries if entry.id in wanted]
        if not entries:
            return
        found = self._tracker.read({entry.code for entry in entries})
        self._remember({entry.code: dict.fromkeys(wanted[entry.id]) for entry in entries}, found)
        changes: dict[int, Change] = {}
        for entry in entries:
            try:
                change = self._compare(entry, wanted[entry.id], found.get(entry.code))
            except (TrackerKey, TrackerConflict, TrackerError) as error:
                self._bury(entry, error)
            else:
                if change is not None:
                    changes[entry.id] = change
        self._write([entry for entry in entries if entry.id in changes], changes)

    def _compare(self, entry: Entry, wanted: Mapping[str, Value], found: Found | None) -> Change | None:
        """None when the change is in place and settled; else what to write. Raises for what must not be written."""
        known = box.seen(self._con, self._tracker.identity, entry.code)
        written = self._written.get(entry.id)
        if found is None:
            if any(value is not None for value in known.values()):
                raise TrackerKey(
                    f"no record bears the code {entry.code} any more",
                    where=self._tracker.name,
                    fix="restore it there, or drop the change with `bqx tracker sync --drop`",
                )
            return Change(entry.code, wanted, None)
        if found.copies > 1:
            raise TrackerKey(
                f"{found.copies} records bear the code {entry.code}", where=self._tracker.name, fix="leave one of them"
            )
        differing = {n: v for n, v in wanted.items() if not same(found.fields.get(n), v)}
        if not differing:
            self._settle(entry, wanted, written)
            return None
        foreign = [n for n in self._changed(entry, found, known) if n in differing]
        if foreign:
            in_place = {n: v for n, v in wanted.items() if n not in differing}
            with box.transaction(self._con):  # a write that was cut short had an effect on these
                now, effects = self._clock.now_us(), _effects(in_place, written)
                box.note_effects(self._con, self._tracker.identity, entry, effects, now)
            raise TrackerConflict(
                f"{', '.join(foreign)} of {entry.code} was changed in the tracker",
                where=self._tracker.name,
                fix=f"correct it there, or `bqx tracker sync --overwrite {entry.code}`",
            )
        if written is not None and written.tries >= _TRIES:
            raise TrackerError(
                f"{', '.join(differing)} of {entry.code} was written {written.tries} times and is still another",
                where=self._tracker.name,
            )
        return Change(entry.code, differing, found)

    def _changed(self, entry: Entry, found: Found, known: Mapping[str, Value]) -> list[str]:
        """Fields that hold neither what was seen there nor what an earlier change of ours left half done."""
        ours = [self._words(entry.code, fields) for fields in box.half_done(self._con, entry)]
        return [
            n
            for n, v in found.fields.items()
            if n in known and not same(v, known[n]) and not any(n in own and same(v, own[n]) for own in ours)
        ]

    def _words(self, code: str, fields: Mapping[str, Value]) -> Mapping[str, Value]:
        try:
            return self._tracker.shown(code, fields)
        except TrackerSchema:
            return {}

    def _remember(self, empty: Mapping[str, Mapping[str, Value]], found: Mapping[str, Found]) -> None:
        """Keep what is there before anything is written, so that what somebody does after this is seen as theirs."""
        now = self._clock.now_us()
        with box.transaction(self._con):
            for code, nothing in empty.items():
                if code not in found or found[code].copies == 1:
                    there = {**nothing, **(found[code].fields if code in found else {})}
                    box.note_seen(self._con, self._tracker.identity, code, there, now, replace=False)

    def _write(self, entries: list[Entry], changes: Mapping[int, Change]) -> None:
        alone = next((entry for entry in entries if entry.id in self._one_by_one), None)
        if alone is not None:
            entries = [alone]
        if not entries:
            return
        try:
            self._tracker.write([changes[entry.id] for entry in entries])
        except Uncertain as doubt:
            with box.transaction(self._con):
                box.note_failure(self._con, entries, doubt.why)
            self._note(entries, changes, sure=False)
            self._doubts += 1
            if self._doubts == _DOUBTS:
                raise TrackerUnreachable(f"{_DOUBTS} writes in a row: {doubt.why}", where=self._tracker.name) from None
            self._clock.sleep(doubt.wait_s)
        except (TrackerUnreachable, TrackerAccess):
            raise
        except TrackerError as error:
            if len(entries) == 1:
                self._bury(entries[0], error)
            self._one_by_one.update(entry.id for entry in entries)
        else:
            self._doubts = 0
            self._note(entries, changes, sure=True)

    def _note(self, entries: list[Entry], changes: Mapping[int, Change], *, sure: bool) -> None:
        for entry in entries:
            found = changes[entry.id].found
            before = {} if found is None else {n: found.fields.get(n) for n in changes[entry.id].fields}
            earlier = self._written.get(entry.id)
            tries = sure + (0 if earlier is None else earlier.tries)
            self._written[entry.id] = _Written(before, "created" if found is None else "changed", tries)

    def _settle(self, entry: Entry, wanted: Mapping[str, Value], written: _Written | None) -> None:
        now = self._clock.now_us()
        with box.transaction(self._con):
            box.settle(self._con, self._tracker.identity, entry, _effects(wanted, written), now)
        self._out.delivered.append(entry.id)
        self._out.longest_s = max(self._out.longest_s, (now - entry.made_at) / 1e6)

    def _bury(self, entry: Entry, error: BqxError) -> None:
        with box.transaction(self._con):
            box.bury(self._con, entry, error, self._clock.now_us())
        self._out.dead.append(entry.id)
        event("tracker.dead", level="warning", code=entry.code, outbox_id=entry.id, error=error.code, why=error.what)


def _effects(in_place: Mapping[str, Value], written: _Written | None) -> list[Effect]:
    """What we did to fields that hold the wanted values: those not written by this process were found so."""
    return [
        Effect(n, written.before.get(n), v, written.effect)
        if written is not None and (written.effect == "created" or n in written.before)
        else Effect(n, v, v, "found")
        for n, v in in_place.items()
    ]
