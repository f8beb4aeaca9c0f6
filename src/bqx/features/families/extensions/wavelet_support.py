"""What a filter sees: every value of a window, for there is no term to leave out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bqx.features.support import Mask, Support, View, counts
from bqx.market.calendar import Calendar


@dataclass(frozen=True, slots=True)
class Whole(Support):
    """All of the last `bars` values, in one segment."""

    of: Support
    bars: int

    @property
    def warmup(self) -> int:
        return self.of.warmup + self.bars - 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(calendar.segment_start(at), calendar)

    def valid(self, view: View) -> Mask:
        whole = counts(view.mask(self.of), self.bars) >= self.bars
        return np.asarray(whole & (view.age >= self.bars - 1))

    def why(self, view: View, row: int, pair: int) -> str | None:
        age = int(view.age[row, 0])
        have = int(counts(view.mask(self.of), self.bars)[row, pair])
        if age < self.bars - 1:
            return f"closure: the window of {self.bars} bars reaches before the segment start ({age} bars ago)"
        if have < self.bars:
            return f"gap: {have} of {self.bars} values in the window are valid, a filter needs all of them"
        return None
