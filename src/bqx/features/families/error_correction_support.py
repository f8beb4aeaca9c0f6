"""What the relations of a pair see: the other pairs they are made of, and the month before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.features.support import Fitted, Mask, Support, View, needed
from bqx.market.calendar import DAY, Calendar, datetime_of, month_of, month_span
from bqx.market.pairs import CURRENCIES, PAIRS, parse_pair

I8 = NDArray[np.int64]

MAJORS = ("eurusd", "audusd", "gbpusd", "nzdusd", "usdcad", "usdchf", "usdjpy")
"""The relation of the majors has a positive sign on the first."""

BRIDGES = ("usd", "eur", "gbp")
"""A pair's own triangle goes over the first of these that it does not hold."""

SHORT_MONTH = 19 * DAY
"""Open minutes that any month has."""


def leg(a: str, b: str) -> tuple[str, float]:
    """The pair of two currencies and the sign with which it stands for a / b."""
    return (a + b, 1.0) if a + b in PAIRS else (b + a, -1.0)


def legs(pair: str, third: str) -> tuple[tuple[str, float], tuple[str, float]]:
    """The two pairs over a third currency whose product is the pair's price."""
    own = parse_pair(pair)
    return leg(own.base, third), leg(third, own.quote)


def bridge(pair: str) -> str:
    own = parse_pair(pair)
    return next(c for c in BRIDGES if c not in (own.base, own.quote))


def others(pair: str) -> tuple[str, ...]:
    """The 6 currencies the pair does not hold, by name."""
    own = parse_pair(pair)
    return tuple(sorted(set(CURRENCIES) - {own.base, own.quote}))


def related(pair: str) -> tuple[str, ...]:
    """The 12 other pairs that hold one of its currencies, by name."""
    return tuple(sorted(name for c in others(pair) for name, _ in legs(pair, c)))


def lanes_of(pairs: tuple[str, ...], names: list[list[str]]) -> I8:
    """Where the panel has each name, -1 where it does not."""
    place = {name: k for k, name in enumerate(pairs)}
    return np.array([[place.get(name, -1) for name in row] for row in names], dtype=np.int64)


def _triangle(pair: str) -> tuple[str, ...]:
    return tuple(sorted({pair, *(name for name, _ in legs(pair, bridge(pair)))}))


_SETS: dict[str, Callable[[str], tuple[str, ...]]] = {"triangle": _triangle, "majors": lambda _: tuple(sorted(MAJORS))}


@dataclass(frozen=True, slots=True)
class Among(Support):
    """Something of all pairs of a set: the pair's own `triangle`, or the USD `majors`."""

    of: Support
    group: Literal["triangle", "majors"]

    @property
    def warmup(self) -> int:
        return self.of.warmup

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(at, calendar)

    def valid(self, view: View) -> Mask:
        own, pairs = view.mask(self.of), view.panel.pairs
        out = np.zeros_like(own)
        for j, pair in enumerate(pairs):
            wanted = self._set(pair)
            if all(name in pairs for name in wanted):
                out[:, j] = own[:, [pairs.index(name) for name in wanted]].all(axis=1)
        return out

    def _set(self, pair: str) -> tuple[str, ...]:
        return _SETS[self.group](pair) if pair in PAIRS else (pair,)

    def why(self, view: View, row: int, pair: int) -> str | None:
        pairs = view.panel.pairs
        wanted = self._set(pairs[pair])
        if lacking := [name for name in wanted if name not in pairs]:
            return f"panel: the project lacks {', '.join(lacking)} of the {self.group}"
        for name in wanted:
            if (reason := self.of.why(view, row, pairs.index(name))) is not None:
                return reason if name == pairs[pair] else f"panel: {name}, {reason}"
        return None


@dataclass(frozen=True, slots=True)
class Standing(Fitted):
    """An estimate of the window at the latest calendar point, from sums that slide along the segment: they began at its
    first bar."""

    @property
    def warmup(self) -> int:
        return self.of.warmup + self.bars - int(self.now)

    def earliest(self, at: int, calendar: Calendar) -> int:
        start = calendar.ordinal(calendar.segment_start(at))
        return self.of.earliest(calendar.at_ordinal(start - self.bars + int(self.now)), calendar)


@dataclass(frozen=True, slots=True)
class Shared(Support):
    """Something that several columns see."""

    of: Support

    @property
    def warmup(self) -> int:
        return self.of.warmup

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(at, calendar)

    def valid(self, view: View) -> Mask:
        return view.mask(self.of)

    def why(self, view: View, row: int, pair: int) -> str | None:
        return self.of.why(view, row, pair)


@dataclass(frozen=True, slots=True)
class MonthBefore(Support):
    """The values of the previous calendar month (UTC): its first minute is among the bars, and enough are valid."""

    of: Support

    @property
    def warmup(self) -> int:
        return self.of.warmup + needed(SHORT_MONTH)

    def earliest(self, at: int, calendar: Calendar) -> int:
        return self.of.earliest(before(at, calendar)[0], calendar)

    def _have(self, view: View) -> tuple[I8, I8]:
        """Valid values of the month before and its open minutes, -1 where it is not there: (n, pairs) and (n,)."""
        minute, calendar = view.panel.grid.minute, view.calendar
        own = view.mask(self.of)
        months = minute.astype("datetime64[m]").astype("datetime64[M]").astype(np.int64)
        have, whole = np.zeros(own.shape, dtype=np.int64), np.full(len(minute), -1, dtype=np.int64)
        for now in np.unique(months):
            here = months == now
            first, stop = before(int(minute[here.argmax()]), calendar)
            if first >= minute[0]:
                seen = (minute >= first) & (minute < stop)
                whole[here] = calendar.ordinal(stop) - calendar.ordinal(first)
                have[here] = own[seen].sum(axis=0)
        return have, whole

    def valid(self, view: View) -> Mask:
        have, whole = self._have(view)
        return np.asarray((10 * have >= 9 * whole[:, None]) & (whole >= 0)[:, None])

    def why(self, view: View, row: int, pair: int) -> str | None:
        have, whole = self._have(view)
        if whole[row] < 0:
            return "warm-up: the previous calendar month is not wholly among the bars"
        if 10 * have[row, pair] < 9 * whole[row]:
            return (
                f"fit: {have[row, pair]} of the {whole[row]} minutes of the month before have values, 90 % are needed"
            )
        return None


def before(at: int, calendar: Calendar) -> tuple[int, int]:
    """First open minute of the calendar month before that of minute `at`, and the minute after it."""
    stop = month_span(month_of(at))[0]
    first = month_span(f"{datetime_of(stop - 1):%Y_%m}")[0]
    return calendar.at_ordinal(calendar.ordinal(first)), stop
