"""What columns see that move only on some minutes: every fifth, as bars of five minutes do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.features.support import Mask, Support, View
from bqx.market.calendar import Calendar


def closing(minute: NDArray[np.int64], every: int) -> NDArray[np.bool_]:
    """Minutes that close a bar of `every` minutes; all of them when that is 1."""
    return np.asarray(minute % every == every - 1)


@dataclass(frozen=True, slots=True)
class Sampled(Support):
    """A value at the minutes that close a bar of `every` minutes, and none in between."""

    of: Support
    every: int

    @property
    def warmup(self) -> int:
        return self.of.warmup

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(at, calendar)

    def valid(self, view: View) -> Mask:
        return view.mask(self.of) & closing(view.panel.grid.minute, self.every)[:, None]

    def why(self, view: View, row: int, pair: int) -> str | None:
        if not closing(view.panel.grid.minute, self.every)[row]:
            return f"closure: this minute does not close a bar of {self.every} minutes"
        return self.of.why(view, row, pair)


@dataclass(frozen=True, slots=True)
class Held(Support):
    """The value of the latest minute of the segment that closed a bar of `every` minutes."""

    of: Support
    every: int

    @property
    def warmup(self) -> int:
        return self.of.warmup

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(at, calendar)

    def _latest(self, view: View) -> NDArray[np.int64]:
        """Row of that minute; -1 where the segment has had none. Shape (n,)."""
        grid = view.panel.grid
        rows = np.arange(len(grid), dtype=np.int64)
        latest = np.maximum.accumulate(np.where(closing(grid.minute, self.every), rows, -1))
        return np.where(latest >= rows - grid.seg_age, latest, -1)

    def valid(self, view: View) -> Mask:
        latest = self._latest(view)
        return view.mask(self.of)[latest] & (latest >= 0)[:, None]

    def why(self, view: View, row: int, pair: int) -> str | None:
        latest = int(self._latest(view)[row])
        if latest < 0:
            return f"closure: the segment has closed no bar of {self.every} minutes yet"
        reason = self.of.why(view, latest, pair)
        return reason and f"{reason} (at the last minute of the latest {self.every})"
