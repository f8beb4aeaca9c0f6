"""What a value sees of other pairs: supports of correlations and ranks across the panel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bqx.features.groups import Group, canonical
from bqx.features.groups import members as find_members
from bqx.features.support import Mask, Support, View, counts, needed
from bqx.market.calendar import Calendar

STALE = 2
"""A price carried for more minutes than this enters no correlation and no rank across pairs."""

members = lru_cache(maxsize=64)(find_members)


@dataclass(frozen=True, slots=True)
class Recent(Support):
    """A value of a minute with a quote, or with one at most `STALE` minutes before."""

    of: Support

    @property
    def warmup(self) -> int:
        return self.of.warmup

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(at, calendar)

    def valid(self, view: View) -> Mask:
        return view.mask(self.of) & (view.panel.fill_run <= STALE)

    def why(self, view: View, row: int, pair: int) -> str | None:
        if (reason := self.of.why(view, row, pair)) is not None:
            return reason
        run = int(view.panel.fill_run[row, pair])
        return f"gap: {run} minutes without a quote, at most {STALE} in correlations and ranks" if run > STALE else None


@dataclass(frozen=True, slots=True)
class Jointly(Support):
    """The last `bars` values of the segment of the pair and of each member of its group, enough of them in the same
    minutes."""

    of: Support
    bars: int
    group: Group

    @property
    def warmup(self) -> int:
        return self.of.warmup + self.bars - 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(at, calendar)

    def valid(self, view: View) -> Mask:
        own = view.mask(self.of)
        group = members(view.panel.pairs, self.group)
        out = np.zeros(own.shape, dtype=bool)
        inside = view.age[:, 0] >= self.bars - 1
        alone = counts(own, self.bars)
        known: dict[tuple[int, int], NDArray[np.bool_]] = {}  # two are members of each other's groups
        for j in np.flatnonzero(group.whole):
            out[:, j] = inside
            for k in np.flatnonzero(group.signs[j]):
                two = (int(min(j, k)), int(max(j, k)))
                if two not in known:
                    known[two] = self._common(own, alone, *two)
                out[:, j] &= known[two]
        return out

    def _common(self, own: Mask, alone: NDArray[np.int32], j: int, k: int) -> NDArray[np.bool_]:
        """Rows whose window has enough minutes with a value of both."""
        least = needed(self.bars)
        enough = (alone[:, j] >= least) & (alone[:, k] >= least)
        unsure = enough & (alone[:, j] + alone[:, k] < self.bars + least)  # else they overlap enough in any case
        if unsure.any():
            enough &= counts(own[:, j] & own[:, k], self.bars) >= least
        return np.asarray(enough)

    def why(self, view: View, row: int, pair: int) -> str | None:
        group = members(view.panel.pairs, self.group)
        if group.missing[pair]:
            size = int((group.signs[pair] != 0).sum())
            total = size + len(group.missing[pair])
            return (
                f"panel: the project has {size} of the {total} pairs of the {self.group} group; "
                f"it lacks {', '.join(group.missing[pair])}"
            )
        age = int(view.age[row, 0])
        if age < self.bars - 1:
            return f"closure: the window of {self.bars} bars reaches before the segment start ({age} bars ago)"
        rows = view.mask(self.of)[row - self.bars + 1 : row + 1]
        least = needed(self.bars)
        if (own := int(rows[:, pair].sum())) < least:
            return f"gap: {own} of {self.bars} values in the window are valid, {least} are needed"
        for k in canonical(view.panel.pairs):
            common = int((rows[:, pair] & rows[:, k]).sum())
            if group.signs[pair, k] and common < least:
                other = view.panel.pairs[k]
                return f"panel: {common} of {self.bars} minutes in the window have both {other} and it, {least} needed"
        return None


@dataclass(frozen=True, slots=True)
class Refreshed(Support):
    """A value made anew where `seg_age` is a multiple of `every` and held until the next time."""

    of: Support
    every: int

    @property
    def warmup(self) -> int:
        return self.of.warmup

    def earliest(self, at: int, calendar: Calendar) -> int:
        return min(self.of.earliest(at, calendar), self.of.earliest(calendar.segment_start(at), calendar))

    def valid(self, view: View) -> Mask:
        return np.asarray(view.mask(self.of)[(view.rows - view.age % self.every)[:, 0]])

    def why(self, view: View, row: int, pair: int) -> str | None:
        made = row - int(view.age[row, 0]) % self.every
        reason = self.of.why(view, made, pair)
        return reason if reason is None or made == row else f"{row - made} bars ago, when it was refreshed, {reason}"
