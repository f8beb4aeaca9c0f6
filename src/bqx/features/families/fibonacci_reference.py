"""The fibonacci family the slow, obvious way: one lane, windows afresh, levels as the book writes them."""

from __future__ import annotations

import math
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
NAN = math.nan
STEPS = 65536
"""Bars whose highs round to the same 65,536th of a basis point are as high."""


def make_reference(domain: Domain) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        lanes = _LANES.setdefault(streams, {})
        if (domain, pair) not in lanes:
            lanes[domain, pair] = _Lane(streams, domain, pair)
        return lanes[domain, pair].value(column, row)

    return reference


class _Lane:
    """One pair."""

    def __init__(self, streams: Streams, domain: Domain, pair: int) -> None:
        s = streams.stream(domain)
        self.high, self.low, self.close = (x[:, pair].copy() for x in (s.high, s.low, s.close))
        self.age = streams.panel.grid.seg_age
        self.starts = np.flatnonzero(self.age == 0)
        self.segment = np.cumsum(self.age == 0) - 1
        self.closures = domain == "rate"

    def value(self, name: str, r: int) -> float:
        what, _, engine = name.removeprefix("fib_").rpartition("_")
        found = self._swings(r) if engine == "fx" else self._rolling(r, int(engine[1:]))
        c = float(self.close[r])
        if found is None or math.isnan(c):
            return NAN
        hi, hi_at, lo, lo_at = found
        if what in ("age_high", "age_low"):
            return float(r - (hi_at if what == "age_high" else lo_at))
        span = hi - lo
        if what == "range" and (span > 1e-9 or engine != "fx"):
            return span
        if span <= 1e-9:
            return NAN
        up = hi_at > lo_at
        match what:
            case "dir":
                return 1.0 if up else -1.0
            case "pos":
                return _clipped((c - lo) / span)
            case "retrace":
                return _clipped(((hi - c) if up else (c - lo)) / span)
        levels = {f"{1000 * x:.0f}": hi - x * span if up else lo + x * span for x in (0.236, 0.382, 0.5, 0.618, 0.786)}
        levels |= {f"ext_{1000 * y:.0f}": lo + y * span if up else hi - y * span for y in (1.272, 1.618)}
        unit = float(self._atr[r])
        if math.isnan(unit) or unit <= 4e-9:
            return NAN
        if what == "nearest":
            return min((c - level for level in levels.values()), key=abs) / unit
        return _near_reference(c - levels[what.removeprefix("prox_")], 0.25 * unit)

    def _rolling(self, r: int, n: int) -> tuple[float, int, float, int] | None:
        """Highest high and lowest low of n bars, counted from the zero of r's segment, with their rows."""
        if r < n - 1 or (n <= 240 and self.age[r] < n - 1):
            return None
        high, low = self._joined(self.high, r, n), self._joined(self.low, r, n)
        if (~np.isnan(high)).sum() < needed(n):
            return None
        hi, lo = float(np.nanmax(high)), float(np.nanmin(low))
        return hi, r - _since(high, hi), lo, r - _since(low, lo)

    def _joined(self, x: F8, r: int, n: int) -> F8:
        """The last n levels without the closure gaps in between: what a segment ended at is the next one's zero."""
        rows = np.arange(r - n + 1, r + 1)
        out = x[rows].copy()
        if self.closures:
            for before in range(self.segment[rows[0]], self.segment[r]):
                out[self.segment[rows] <= before] -= self._ends[before]
        return out

    @cached_property
    def _ends(self) -> list[float]:
        """Last close of each segment, 0 without one."""
        weeks = [x[~np.isnan(x)] for x in np.split(self.close, self.starts[1:])]
        return [float(x[-1]) if len(x) else 0.0 for x in weeks]

    def _swings(self, r: int) -> tuple[float, int, float, int] | None:
        hi_at, lo_at = (self._last(rows, r) for rows in (self._peaks, self._troughs))
        if hi_at is None or lo_at is None:
            return None
        hi, lo = (float(self._joined(x, r, r - at + 1)[0]) for x, at in ((self.high, hi_at), (self.low, lo_at)))
        return hi, hi_at, lo, lo_at

    @staticmethod
    def _last(rows: NDArray[np.int64], r: int) -> int | None:
        """The latest swing that 10 bars have followed by r, if it is among the 1,440 bars before r."""
        known = rows[(rows <= r - 10) & (rows >= r - 1440)]
        return int(known[-1]) if len(known) else None

    @cached_property
    def _peaks(self) -> NDArray[np.int64]:
        return self._strict(self.high)

    @cached_property
    def _troughs(self) -> NDArray[np.int64]:
        return self._strict(-self.low)

    def _strict(self, x: F8) -> NDArray[np.int64]:
        """Rows above the ten before and the ten after them, in one segment and without a hole."""
        around = np.lib.stride_tricks.sliding_window_view(np.rint(x * STEPS), 21)
        strict = (around[:, 10:11] > np.delete(around, 10, axis=1)).all(axis=1)
        return np.flatnonzero(strict & (self.age[20:] >= 20)) + 10

    @cached_property
    def _atr(self) -> F8:
        """Wilder's mean of 60 true ranges, begun 1,200 bars before each segment, after 600 of them."""
        out = np.full(len(self.age), NAN)
        for start, stop in zip(self.starts.tolist(), [*self.starts[1:].tolist(), len(out)], strict=True):
            mean, taken = 0.0, 0
            for r in range(max(0, start - 1200), stop):
                span = self._spans[r]
                if math.isnan(span):
                    continue
                taken += 1
                mean += (span - mean) / min(taken, 60)
                if r >= start and taken >= 600:
                    out[r] = mean
        return out

    @cached_property
    def _spans(self) -> list[float]:
        """True range of each bar, which needs the bar before it in the segment."""
        before = np.where(self.age > 0, np.r_[NAN, self.close[:-1]], NAN)
        return [float(x) for x in np.maximum(self.high, before) - np.minimum(self.low, before)]


def _since(x: F8, value: float) -> int:
    """Bars since `x` was last at `value`."""
    return int(np.argmax(np.rint(x[::-1] * STEPS) == np.rint(value * STEPS)))


def _near_reference(away: float, unit: float) -> float:
    return math.exp(-abs(away) / unit)


def _clipped(x: float) -> float:
    return min(max(x, -1.0), 2.0)


_LANES: WeakKeyDictionary[Streams, dict[tuple[Domain, int], _Lane]] = WeakKeyDictionary()
