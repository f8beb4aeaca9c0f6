"""What is watched of the data sees: minutes of a pair's time, quotes of the segment, and the days before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bqx.features.support import Mask, Quote, Support, View, shifted
from bqx.market.calendar import Calendar


@dataclass(frozen=True, slots=True)
class Begun(Support):
    """A minute at or after the pair's first bar, with a quote or without."""

    @property
    def warmup(self) -> int:
        return 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return at

    def valid(self, view: View) -> Mask:
        return view.full

    def why(self, view: View, row: int, pair: int) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Quoted(Support):
    """The segment has had a bid and ask of the pair."""

    @property
    def warmup(self) -> int:
        return 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return calendar.segment_start(at)

    def valid(self, view: View) -> Mask:
        latest = np.maximum.accumulate(np.where(view.mask(Quote()), view.rows, -1), axis=0)
        return np.asarray(latest >= view.rows - view.age)

    def why(self, view: View, row: int, pair: int) -> str | None:
        if self.valid(view)[row, pair]:
            return None
        if view.priced[row, pair]:
            return "capability: the source of these bars gives no bid and ask"
        return "gap: the segment has had no quote of this pair yet"


@dataclass(frozen=True, slots=True)
class DaysBefore(Support):
    """A value now and those `spacing`, 2 `spacing` ... `count` x `spacing` open minutes ago, of any segment."""

    of: Support
    spacing: int
    count: int

    @property
    def warmup(self) -> int:
        return self.of.warmup + self.spacing * self.count

    def earliest(self, at: int, calendar: Calendar) -> int:
        then = (calendar.at_ordinal(calendar.ordinal(at) - k * self.spacing) for k in range(self.count + 1))
        return min(self.of.earliest(minute, calendar) for minute in then)

    def valid(self, view: View) -> Mask:
        own = view.mask(self.of)
        out = own.copy()
        for k in range(1, self.count + 1):
            out &= shifted(own, k * self.spacing)
        return out

    def why(self, view: View, row: int, pair: int) -> str | None:
        for k in range(self.count + 1):
            then = row - k * self.spacing
            if then < 0:
                return f"warm-up: {k * self.spacing} bars back lies before the loaded bars"
            if (reason := self.of.why(view, then, pair)) is not None:
                return f"{k * self.spacing} bars back, {reason}" if k else reason
        return None
