"""What earlier values, and those sampled every so many rows, see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.features.support import Mask, Support, View, needed, shifted
from bqx.market.calendar import Calendar


@dataclass(frozen=True, slots=True)
class Samples(Support):
    """`count` values, now and every `every` open minutes before, of any segment; at least `least` of them valid, else
    :func:`needed`. now : whether that of the current bar must be."""

    of: Support
    count: int
    every: int
    least: int = 0
    now: bool = False

    @property
    def warmup(self) -> int:
        return self.of.warmup + (self.count - 1) * self.every

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(calendar.at_ordinal(calendar.ordinal(at) - (self.count - 1) * self.every), calendar)

    def _have(self, view: View) -> NDArray[np.int32]:
        own = view.mask(self.of)
        total = np.zeros(own.shape, dtype=np.int32)
        for k in range(self.count):
            if k * self.every < len(own):
                total += shifted(own, k * self.every)
        return total

    def _need(self) -> int:
        return self.least or needed(self.count)

    def valid(self, view: View) -> Mask:
        enough = np.asarray(self._have(view) >= self._need())
        return enough & view.mask(self.of) if self.now else enough

    def why(self, view: View, row: int, pair: int) -> str | None:
        if self.now and (reason := self.of.why(view, row, pair)) is not None:
            return reason
        if (have := int(self._have(view)[row, pair])) < self._need():
            return f"gap: {have} of {self.count} samples, {self.every} bars apart, are valid, {self._need()} are needed"
        return None


@dataclass(frozen=True, slots=True)
class Earlier(Support):
    """The value `bars` open minutes ago in the segment, whatever is now."""

    of: Support
    bars: int

    @property
    def warmup(self) -> int:
        return self.of.warmup + self.bars

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(calendar.segment_start(at), calendar)

    def valid(self, view: View) -> Mask:
        return shifted(view.mask(self.of), self.bars) & (view.age >= self.bars)

    def why(self, view: View, row: int, pair: int) -> str | None:
        age = int(view.age[row, 0])
        if age < self.bars:
            return f"closure: {self.bars} bars back lies before the segment start ({age} bars ago); policy SEG"
        reason = self.of.why(view, row - self.bars, pair)
        return None if reason is None else f"{self.bars} bars back, {reason}"
