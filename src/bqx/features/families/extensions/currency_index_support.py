"""What currency strengths and loops see: all pairs that hold a currency, and quotes that are a few minutes old."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.error_correction_support import lanes_of, leg, legs, others
from bqx.features.support import Mask, Quote, Support, View
from bqx.market.calendar import Calendar
from bqx.market.pairs import CURRENCIES, PAIRS, parse_pair
from bqx.market.panel import MAX_CARRY

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

NAMES = tuple(sorted(CURRENCIES))
"""Currencies in the order of their names."""

Which = Literal["base", "quote", "both", "all"]


def holders(which: Which | str, pair: str) -> tuple[str, ...]:
    """Pairs that hold the pair's base or quote currency, either of `both`, or a named currency, by name; or `all`."""
    own = parse_pair(pair)
    if which == "all":
        return PAIRS
    wanted = {"base": {own.base}, "quote": {own.quote}, "both": {own.base, own.quote}}.get(which, {which})
    return tuple(p for p in PAIRS if wanted & {parse_pair(p).base, parse_pair(p).quote})


@lru_cache(maxsize=16)
def strength_members(pairs: tuple[str, ...]) -> tuple[I8, F8]:
    """Of each currency its 7 pairs, turned so that they rise with it: lanes and signs (8, 7)."""
    rows = [sorted(leg(c, other) for other in NAMES if other != c) for c in NAMES]
    return lanes_of(pairs, [[name for name, _ in row] for row in rows]), np.array([[s for _, s in row] for row in rows])


@lru_cache(maxsize=16)
def sides(pairs: tuple[str, ...]) -> tuple[I8, I8]:
    """Places of each pair's base and quote currency among NAMES."""
    known = [parse_pair(p) for p in pairs]
    return np.array([NAMES.index(k.base) for k in known]), np.array([NAMES.index(k.quote) for k in known])


@lru_cache(maxsize=16)
def triangles(pairs: tuple[str, ...]) -> tuple[I8, F8]:
    """Legs of each pair's 6 triangles by the third currency's name: lanes and signs (pairs, 6, 2)."""
    rows = [[one for third in others(pair) for one in legs(pair, third)] for pair in pairs]
    lanes = lanes_of(pairs, [[name for name, _ in row] for row in rows])
    shape = (len(pairs), 6, 2)
    return lanes.reshape(shape), np.array([[sign for _, sign in row] for row in rows]).reshape(shape)


@dataclass(frozen=True, slots=True)
class Holders(Support):
    """Something of all pairs that hold the pair's `base`, its `quote` or either of `both`, a named currency, or of
    `all` 28."""

    of: Support
    which: str

    @property
    def warmup(self) -> int:
        return self.of.warmup

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(at, calendar)

    def valid(self, view: View) -> Mask:
        own, pairs = view.mask(self.of), view.panel.pairs
        out = np.zeros_like(own)
        for j, pair in enumerate(pairs):
            wanted = holders(self.which, pair)
            if all(name in pairs for name in wanted):
                out[:, j] = own[:, [pairs.index(name) for name in wanted]].all(axis=1)
        return out

    def why(self, view: View, row: int, pair: int) -> str | None:
        pairs = view.panel.pairs
        wanted = holders(self.which, pairs[pair])
        if lacking := [name for name in wanted if name not in pairs]:
            return f"panel: the project lacks {', '.join(lacking)}"
        for name in wanted:
            if (reason := self.of.why(view, row, pairs.index(name))) is not None:
                return reason if name == pairs[pair] else f"panel: {name}, {reason}"
        return None


@dataclass(frozen=True, slots=True)
class CarriedQuote(Support):
    """Bid and ask of the minute, or of the last one with a quote in the segment, at most 5 minutes before."""

    @property
    def warmup(self) -> int:
        return 1

    def earliest(self, at: int, calendar: Calendar) -> int:
        return calendar.segment_start(at)

    def valid(self, view: View) -> Mask:
        run = view.panel.fill_run.astype(np.int64)
        quoted = view.mask(Quote())
        then = np.take_along_axis(quoted, np.maximum(view.rows - run, 0), axis=0)
        return np.asarray(then & (run <= MAX_CARRY) & (run <= view.age))

    def why(self, view: View, row: int, pair: int) -> str | None:
        if self.valid(view)[row, pair]:
            return None
        run = int(view.panel.fill_run[row, pair])
        if run > min(MAX_CARRY, int(view.age[row, 0])):
            return f"gap: {run} minutes without a quote; bid and ask are carried for at most {MAX_CARRY}"
        return "capability: the source of these bars gives no bid and ask"
