"""Bars as they arrive, until their minute is complete: late, double, revised and reordered ones have a stated place.

A minute is complete when every pair has a bar of it, or `grace` seconds after its end and its first bar when some
pair has. A minute in which no pair has a bar waits for a later one that is complete: while a feed is silent nothing is
concluded, and bars it sends after an outage still find their minute open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import Calendar
from bqx.serve.live.bar import FIELDS, Bar

F8 = NDArray[np.float64]
Verdict = Literal["taken", "duplicate", "replaced", "revision", "closed", "ahead", "future", "impossible", "unknown"]
"""taken : new. duplicate : the same again. replaced : another bar of a minute not yet complete, the newer one counts.
revision : of a minute that is complete. closed : of a minute in which the market is shut. ahead : starts after the
clock; it waits. future : more than a day after it. impossible : no market makes it. unknown : not a pair of the
project. Of these, taken, replaced and ahead are kept, revision is for the engine, the others are dropped."""

GRACE = 10.0
AHEAD, FUTURE = 60.0, 86_400.0
"""Seconds after the clock: beyond the first a bar waits and completes nothing, beyond the second it is refused."""


@dataclass
class Book:
    """next : the open minute that is to be completed next."""

    pairs: Sequence[str]
    calendar: Calendar
    next: int
    grace: float = GRACE
    counts: Counter[str] = field(default_factory=Counter)
    _waiting: dict[int, F8] = field(default_factory=dict)
    _since: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lane = {pair: j for j, pair in enumerate(self.pairs)}

    def offer(self, bar: Bar, now: float) -> Verdict:
        verdict = self._judge(bar, now)
        self.counts[verdict] += 1
        if verdict in ("taken", "replaced", "ahead"):
            self._since.setdefault(bar.minute, now)
            rows = self._waiting.setdefault(bar.minute, np.full((len(FIELDS), len(self.pairs)), np.nan))
            rows[:, self._lane[bar.pair]] = bar.values
        return verdict

    def _judge(self, bar: Bar, now: float) -> Verdict:
        if bar.pair not in self._lane:
            return "unknown"
        if bar.problem() is not None:
            return "impossible"
        if not bool(self.calendar.is_open(np.array([bar.minute]))[0]):
            return "closed"
        if bar.minute < self.next:
            return "revision"
        if 60.0 * bar.minute > now + FUTURE:
            return "future"
        rows = self._waiting.get(bar.minute)
        held = None if rows is None else rows[:, self._lane[bar.pair]]
        if held is not None and not np.isnan(held[3]):
            return "duplicate" if bar.same(held) else "replaced"
        return "ahead" if 60.0 * bar.minute > now + AHEAD else "taken"

    def ready(self, now: float) -> Iterator[tuple[int, F8]]:
        """Complete minutes in order, with their bars (fields, pairs); each is given once."""
        while (minute := self._complete(now)) is not None:
            while self.next <= minute:
                empty = np.full((len(FIELDS), len(self.pairs)), np.nan)
                rows = self._waiting.pop(self.next, empty)
                self._since.pop(self.next, None)
                given, self.next = self.next, self._after(self.next)
                yield given, rows

    def _after(self, minute: int) -> int:
        return self.calendar.at_ordinal(self.calendar.ordinal(minute + 1))

    def _complete(self, now: float) -> int | None:
        """The first minute with bars that is complete by now; every minute before it is over, too."""
        for minute in sorted(self._waiting):
            if 60.0 * minute > now + AHEAD:
                return None
            full = not np.isnan(self._waiting[minute][3]).any()
            over = now >= max(60.0 * (minute + 1), self._since[minute]) + self.grace
            if over:
                return minute
            if full and minute == self.next:
                return minute
            if not full:
                return None
        return None

    @property
    def waiting(self) -> int:
        """Minutes with bars that are not complete."""
        return len(self._waiting)
