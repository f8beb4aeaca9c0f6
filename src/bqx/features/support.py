"""What a value sees: composed from primitives, never typed.

A tree of these nodes says four things about a column from one source: how many bars it needs (`warmup`), how far
back it can see (`earliest`), where it must be NULL (`valid`) and, for people, why it is NULL there (`why`). The
masks are plain counts on integers: they share no code with the kernels and are what kernels are checked against.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.features.groups import LEAST as LEAST_PAIRS
from bqx.features.groups import Group, members
from bqx.features.kernels.minute_of_week import AROUND, LEAST, SEEN, WEEKS
from bqx.features.refresh import Every, latest_points, point_before
from bqx.market.calendar import WEEK, Calendar, Grid
from bqx.market.panel import MAX_CARRY, Panel, bars_in_stream

Mask = NDArray[np.bool_]
Policy = Literal["SEG", "XGAP", "NONE"]


def needed(window: int) -> int:
    """Valid values a window must hold: all below 20 bars, else 90 % (rounded up)."""
    return window if window < 20 else -(-window * 9 // 10)


KEPT_BYTES = 1 << 28
"""Masks that a view keeps, the latest used ones: most columns see what many others see."""


class View:
    """A panel with the counts and masks that several columns share."""

    def __init__(self, panel: Panel, calendar: Calendar, baseline: NDArray[np.int64] | None = None) -> None:
        self.panel, self.calendar = panel, calendar
        self.baseline = baseline
        self.age = panel.grid.seg_age.astype(np.int64)[:, None]
        self._masks: OrderedDict[Support, Mask] = OrderedDict()

    def mask(self, support: Support) -> Mask:
        """`support.valid` of this view, read-only, worked out once while it is kept."""
        found = self._masks.get(support)
        if found is None:
            found = support.valid(self)
            found.setflags(write=False)
            self._masks[support] = found
            while len(self._masks) * found.nbytes > KEPT_BYTES and len(self._masks) > 1:
                self._masks.popitem(last=False)
        else:
            self._masks.move_to_end(support)
        return found

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        return np.arange(len(self.panel.grid), dtype=np.int64)[:, None]

    @cached_property
    def priced(self) -> Mask:
        return ~np.isnan(self.panel.close)

    @cached_property
    def stream(self) -> NDArray[np.int64]:
        return bars_in_stream(self.panel, self.calendar)

    @cached_property
    def segment(self) -> NDArray[np.int64]:
        """Row number of the segment, 0 for the first of the panel. Shape (n,)."""
        return segment_rows(self.panel.grid)

    @property
    def full(self) -> Mask:
        return np.ones(self.panel.shape, dtype=bool)


def segment_rows(grid: Grid) -> NDArray[np.int64]:
    """0 for the minutes of the first segment, 1 for the second, ... Shape (n,)."""
    return np.cumsum(np.r_[0, np.diff(grid.seg_id) != 0]).astype(np.int64)[: len(grid)]


def counts(mask: Mask, window: int) -> NDArray[np.int32]:
    """True rows among the last `window` rows, of a mask (n,) or (n, pairs)."""
    total = np.cumsum(mask, axis=0, dtype=np.int32)
    if window >= len(total):
        return total
    out = total.copy()
    np.subtract(total[window:], total[:-window], out=out[window:])
    return out


def shifted(mask: Mask, lag: int) -> Mask:
    """Row r holds row r - lag; False where there is none."""
    if lag == 0:
        return mask
    out = np.zeros_like(mask)
    out[lag:] = mask[:-lag]
    return out


class Support(ABC):
    """One node of the tree."""

    @property
    @abstractmethod
    def warmup(self) -> int:
        """Bars the pair's stream must have, the current one included; 0 when it needs none."""

    @abstractmethod
    def earliest(self, at: int, calendar: Calendar) -> int:
        """Earliest minute that can move a bit of the value at minute `at`."""

    @abstractmethod
    def valid(self, view: View) -> Mask:
        """Where the value exists. Shape (n, pairs)."""

    @abstractmethod
    def why(self, view: View, row: int, pair: int) -> str | None:
        """The first reason for which it does not exist there; None when it does."""


@dataclass(frozen=True, slots=True)
class Always(Support):
    """A property of the minute itself."""

    @property
    def warmup(self) -> int:
        return 0

    def earliest(self, at: int, calendar: Calendar) -> int:
        return at

    def valid(self, view: View) -> Mask:
        return view.full

    def why(self, view: View, row: int, pair: int) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Price(Support):
    """The mid price, quoted or carried for at most 5 minutes; sees back to the segment start (its log reference)."""

    @property
    def warmup(self) -> int:
        return 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return calendar.segment_start(at)

    def valid(self, view: View) -> Mask:
        return view.priced

    def why(self, view: View, row: int, pair: int) -> str | None:
        if view.priced[row, pair]:
            return None
        run = int(view.panel.fill_run[row, pair])
        if run > int(view.age[row, 0]):
            return f"gap: no quote since the segment began {run} minutes ago, and nothing is carried across a closure"
        return f"gap: {run} minutes without a quote; a price is carried for at most {MAX_CARRY}"


PRICED = Price()


@dataclass(frozen=True, slots=True)
class Volume(Support):
    """The tick volume, 0 in a minute that carries a price."""

    @property
    def warmup(self) -> int:
        return 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return calendar.segment_start(at)

    def valid(self, view: View) -> Mask:
        return ~np.isnan(view.panel.volume)

    def why(self, view: View, row: int, pair: int) -> str | None:
        if not np.isnan(view.panel.volume[row, pair]):
            return None
        return PRICED.why(view, row, pair) or "capability: the source of these bars gives no volume"


@dataclass(frozen=True, slots=True)
class Fresh(Support):
    """A bar that was quoted: a minute that carries a price has no range of its own."""

    @property
    def warmup(self) -> int:
        return 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return at

    def valid(self, view: View) -> Mask:
        return np.asarray(view.panel.fill_run == 0)

    def why(self, view: View, row: int, pair: int) -> str | None:
        run = int(view.panel.fill_run[row, pair])
        return f"gap: {run} minutes without a quote; a carried price has no range" if run else None


@dataclass(frozen=True, slots=True)
class Quote(Support):
    """Bid and ask of the minute itself; a carried price has none."""

    @property
    def warmup(self) -> int:
        return 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return at

    def valid(self, view: View) -> Mask:
        quotes = view.panel.quotes
        if not quotes:
            return ~view.full
        return ~(np.isnan(quotes["bid_close"]) | np.isnan(quotes["ask_close"]))

    def why(self, view: View, row: int, pair: int) -> str | None:
        if self.valid(view)[row, pair]:
            return None
        if run := int(view.panel.fill_run[row, pair]):
            return f"gap: {run} minutes without a quote; bid and ask are not carried"
        return "capability: the source of these bars gives no bid and ask"


@dataclass(frozen=True, slots=True)
class Baseline(Support):
    """An index level: a price of a pair that has a baseline, from its minute on."""

    price: Support

    @property
    def warmup(self) -> int:
        return self.price.warmup

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.price.earliest(at, calendar)

    def valid(self, view: View) -> Mask:
        return view.mask(self.price) & self._known(view)

    def _known(self, view: View) -> Mask:
        if view.baseline is None:
            return np.zeros(view.panel.shape, dtype=bool)
        return np.asarray(view.panel.grid.minute[:, None] >= view.baseline[None, :])

    def why(self, view: View, row: int, pair: int) -> str | None:
        if not self._known(view)[row, pair]:
            return "baseline: the pair has no baseline price at or before this minute (`bqx status` shows T0)"
        return self.price.why(view, row, pair)


@dataclass(frozen=True, slots=True)
class Opened(Support):
    """The segment has had a quote of this pair, so that its opening gap is known."""

    @property
    def warmup(self) -> int:
        return 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return calendar.segment_start(at)

    @staticmethod
    def seen(panel: Panel) -> Mask:
        """Whether the segment has had a price by each bar."""
        rows = np.arange(len(panel.grid))[:, None]
        latest = np.maximum.accumulate(np.where(np.isnan(panel.close), -1, rows), axis=0)
        return np.asarray(latest >= rows - panel.grid.seg_age[:, None])

    def valid(self, view: View) -> Mask:
        return self.seen(view.panel)

    def why(self, view: View, row: int, pair: int) -> str | None:
        return None if self.valid(view)[row, pair] else "gap: the segment has had no quote of this pair yet"


@dataclass(frozen=True, slots=True)
class Lag(Support):
    """A value now and the same `bars` open minutes ago; SEG: both in one segment."""

    of: Support
    bars: int
    policy: Policy
    gaps: bool = False
    """Whether the closure gaps in between are removed, which needs a price in every segment in between."""

    @property
    def warmup(self) -> int:
        return self.of.warmup + self.bars

    def earliest(self, at: int, calendar: Calendar) -> int:
        then = calendar.ordinal(at) - self.bars
        if self.policy == "SEG":  # what a value sees may change within a segment, at the turn of a month
            then = max(then, calendar.ordinal(calendar.segment_start(at)))
        return self.of.earliest(calendar.at_ordinal(then), calendar)

    def valid(self, view: View) -> Mask:
        own = view.mask(self.of)
        both = own & shifted(own, self.bars)
        if self.policy == "SEG":
            return both & (view.age >= self.bars)
        return both & self._bridged(view) if self.gaps else both

    def _bridged(self, view: View) -> Mask:
        """No segment strictly between the two ends is without any price."""
        segment = view.segment
        empty = np.ones((int(segment[-1]) + 1 if len(segment) else 0, view.panel.shape[1]), dtype=np.int64)
        at, pair = np.nonzero(view.priced)
        empty[segment[at], pair] = 0
        before = np.cumsum(np.vstack([np.zeros((1, empty.shape[1]), dtype=np.int64), empty]), axis=0)
        old = np.r_[np.zeros(min(self.bars, len(segment)), dtype=np.int64), segment[: -self.bars]]
        between = before[segment] - before[np.minimum(old + 1, segment)]
        return np.asarray(between == 0)

    def why(self, view: View, row: int, pair: int) -> str | None:
        if (reason := self.of.why(view, row, pair)) is not None:
            return reason
        age = int(view.age[row, 0])
        if self.policy == "SEG" and age < self.bars:
            return f"closure: {self.bars} bars back lies before the segment start ({age} bars ago); policy SEG"
        if row < self.bars:
            return f"warm-up: {self.bars} bars back lies before the loaded bars"
        if (reason := self.of.why(view, row - self.bars, pair)) is not None:
            return f"{self.bars} bars back, {reason}"
        if self.gaps and not self._bridged(view)[row, pair]:
            return "gap: a whole trading week in between has no price, so its gap cannot be removed"
        return None


@dataclass(frozen=True, slots=True)
class Window(Support):
    """The last `bars` values, or the `bars` before the current one; at least :func:`needed` of them valid."""

    of: Support
    bars: int
    policy: Policy
    before: bool = False

    @property
    def span(self) -> int:
        return self.bars - 1 + self.before

    @property
    def warmup(self) -> int:
        return self.of.warmup + self.span

    def earliest(self, at: int, calendar: Calendar) -> int:
        if self.policy == "SEG":  # the sums may have begun with the segment
            return self.of.earliest(calendar.segment_start(at), calendar)
        # the sums restarted at most at the segment start and saw a whole window then
        start = calendar.ordinal(calendar.segment_start(at))
        return self.of.earliest(calendar.at_ordinal(start - self.span), calendar)

    def valid(self, view: View) -> Mask:
        own = shifted(view.mask(self.of), int(self.before))
        enough = counts(own, self.bars) >= needed(self.bars)
        return enough & (view.age >= self.span) if self.policy == "SEG" else enough

    def why(self, view: View, row: int, pair: int) -> str | None:
        age = int(view.age[row, 0])
        own = shifted(view.mask(self.of), int(self.before))
        have = int(counts(own, self.bars)[row, pair])
        closed = self.policy == "SEG" and age < self.span
        if not closed and have >= needed(self.bars):
            return None
        # what the source never gives, or the project never has, is no gap
        if have == 0 and (reason := self.of.why(view, row, pair) or "").startswith(("capability", "panel")):
            return reason
        if closed:
            return f"closure: the window of {self.bars} bars reaches before the segment start ({age} bars ago)"
        return f"gap: {have} of {self.bars} values in the window are valid, {needed(self.bars)} are needed"


@dataclass(frozen=True, slots=True)
class Trajectory(Support):
    """A recursion that starts `burn` open minutes before the segment and holds on NULL; `need` values taken in.

    `before` : it is read before the current value is taken in.
    """

    of: Support
    need: int
    burn: int
    before: bool = True

    @property
    def warmup(self) -> int:
        return self.of.warmup + self.need - 1 + self.before

    def earliest(self, at: int, calendar: Calendar) -> int:
        start = calendar.ordinal(calendar.segment_start(at))
        return self.of.earliest(calendar.at_ordinal(start - self.burn), calendar)

    def _taken(self, view: View) -> NDArray[np.int32]:
        own = shifted(view.mask(self.of), int(self.before))
        total = np.zeros((len(own) + 1, own.shape[1]), dtype=np.int32)
        np.cumsum(own, axis=0, dtype=np.int32, out=total[1:])
        start = np.maximum((view.rows - view.age)[:, 0] - self.burn, 0) + int(self.before)
        return np.asarray(total[1:] - total[np.minimum(start, len(own))])

    def valid(self, view: View) -> Mask:
        return self._taken(view) >= self.need

    def why(self, view: View, row: int, pair: int) -> str | None:
        have = int(self._taken(view)[row, pair])
        if have < self.need:
            return f"warm-up: the recursion has taken in {have} values of this segment's trajectory, {self.need} needed"
        return None


@dataclass(frozen=True, slots=True)
class Profile(Support):
    """A value and those at the same minute of the week, +-`AROUND`, of the previous `WEEKS` trading weeks, of which at
    least `LEAST` must have `SEEN` of these values. A week that a holiday splits is one."""

    of: Support

    @property
    def warmup(self) -> int:
        return self.of.warmup + LEAST * WEEK

    def earliest(self, at: int, calendar: Calendar) -> int:
        return min(self.of.earliest(at, calendar), self.of.earliest(calendar.week_start(at, WEEKS), calendar))

    def _seen(self, view: View) -> NDArray[np.int64]:
        """How many of the previous weeks have enough values."""
        own, grid = view.mask(self.of), view.panel.grid
        week, slot = grid.week, grid.minute_of_week
        total = np.zeros(own.shape, dtype=np.int64)
        starts = np.flatnonzero(np.diff(week, prepend=week[:1] - 1))
        rows = {int(week[a]): slice(a, b) for a, b in zip(starts, [*starts[1:], len(week)], strict=True)}
        for now, here in rows.items():
            for before in range(now - WEEKS, now):
                if before in rows:
                    present = np.zeros((WEEK + 2 * AROUND, own.shape[1]), dtype=np.int64)
                    present[slot[rows[before]] + AROUND] = own[rows[before]]
                    total[here] += counts_around(present)[slot[here]] >= SEEN
        return total

    def valid(self, view: View) -> Mask:
        return np.asarray(view.mask(self.of) & (self._seen(view) >= LEAST))

    def why(self, view: View, row: int, pair: int) -> str | None:
        if (reason := self.of.why(view, row, pair)) is not None:
            return reason
        if (have := int(self._seen(view)[row, pair])) < LEAST:
            return f"warm-up: {have} of the previous {WEEKS} weeks have values at this minute, {LEAST} are needed"
        return None


def counts_around(present: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of 2 `AROUND` + 1 neighbouring rows, `AROUND` rows fewer at either end."""
    rows = len(present) - 2 * AROUND
    total = present[:rows].copy()
    for k in range(1, 2 * AROUND + 1):
        total += present[k : k + rows]
    return total


@dataclass(frozen=True, slots=True)
class Fitted(Support):
    """An estimate from the `bars` values before the latest calendar point; with `now` the point's own value is the last
    of them. Enough of them must be valid, as in a window."""

    of: Support
    bars: int
    every: Every
    now: bool = False

    @property
    def warmup(self) -> int:
        return self.of.warmup + self.bars - int(self.now)

    def earliest(self, at: int, calendar: Calendar) -> int:
        point = calendar.ordinal(point_before(at, self.every, calendar))
        return self.of.earliest(calendar.at_ordinal(point - self.bars + int(self.now)), calendar)

    def _have(self, view: View) -> NDArray[np.int64]:
        """Valid values that each row's estimate was made from."""
        own = shifted(view.mask(self.of), int(not self.now))
        point = latest_points(view.panel.grid, self.every, view.calendar)
        return np.where(point[:, None] >= 0, counts(own, self.bars)[point], 0)

    def valid(self, view: View) -> Mask:
        return np.asarray(self._have(view) >= needed(self.bars))

    def why(self, view: View, row: int, pair: int) -> str | None:
        if (have := int(self._have(view)[row, pair])) < needed(self.bars):
            need = needed(self.bars)
            return f"fit: {have} of the {self.bars} values before the {self.every}'s fit are valid, {need} are needed"
        return None


@dataclass(frozen=True, slots=True)
class Everyone(Support):
    """Something of every member of the pair's group, or of at least `least` pairs of the panel, own included.

    group : `base`, `quote`, `cross` (all members must be there) or `panel`.
    """

    of: Support
    group: Group | Literal["panel"]

    @property
    def warmup(self) -> int:
        return self.of.warmup

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(at, calendar)

    def _have(self, view: View) -> NDArray[np.int64]:
        """Valid members of each pair's group. Shape (n, pairs)."""
        own = view.mask(self.of)
        if self.group == "panel":
            return np.broadcast_to(own.sum(axis=1)[:, None], own.shape)
        signs = members(view.panel.pairs, self.group).signs
        total = np.zeros(own.shape, dtype=np.int64)
        for j in range(own.shape[1]):
            total[:, j] = own[:, signs[j] != 0].sum(axis=1)
        return total

    def _need(self) -> int:
        return LEAST_PAIRS if self.group == "panel" else {"base": 6, "quote": 6, "cross": 15}[self.group]

    def valid(self, view: View) -> Mask:
        return np.asarray(self._have(view) >= self._need())

    def why(self, view: View, row: int, pair: int) -> str | None:
        have = int(self._have(view)[row, pair])
        if have >= self._need():
            return None
        if self.group == "panel":
            lacking = f"; the project has {len(view.panel.pairs)}" if len(view.panel.pairs) < LEAST_PAIRS else ""
            return f"panel: {have} pairs have a value, {self._need()} are needed{lacking}"
        missing = members(view.panel.pairs, self.group).missing[pair]
        lacking = f"; the project lacks {', '.join(missing)}" if missing else ""
        return f"panel: {have} of the {self._need()} pairs of the {self.group} group have a value{lacking}"


@dataclass(frozen=True, slots=True)
class All(Support):
    """Every one of several."""

    parts: tuple[Support, ...]

    @property
    def warmup(self) -> int:
        return max(part.warmup for part in self.parts)

    def earliest(self, at: int, calendar: Calendar) -> int:
        return min(part.earliest(at, calendar) for part in self.parts)

    def valid(self, view: View) -> Mask:
        out = view.mask(self.parts[0])
        for part in self.parts[1:]:
            out = out & view.mask(part)
        return out

    def why(self, view: View, row: int, pair: int) -> str | None:
        for part in self.parts:
            if (reason := part.why(view, row, pair)) is not None:
                return reason
        return None
