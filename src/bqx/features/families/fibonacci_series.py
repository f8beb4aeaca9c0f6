"""Arrays the fibonacci columns are made of, each worked out once; 2-D, time first."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.technical_series import Series
from bqx.features.kernels.legs import leg, nearest, proximity, share
from bqx.features.kernels.peaks import on_grid, peak_age
from bqx.features.kernels.splice import splice, stretches
from bqx.features.kernels.swings import last_swing
from bqx.features.kernels.window_extremes import window_extremes
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]

INSIDE, ACROSS = (60, 240), 1440
"""Rolling windows within a segment, and the one that reaches across closures."""

HALF, REACH = 10, 1440
"""Bars on either side of a swing, and how many bars ago it may lie."""

LEVELS = {"236": 0.236, "382": 0.382, "500": 0.5, "618": 0.618, "786": 0.786, "ext_1272": -0.272, "ext_1618": -0.618}
"""Levels as shares of the leg, counted back from its end: ext(y) = level(1 - y)."""

ATR, WIDTH = 60, 0.25
"""Period of the range in which nearness is measured, and how many of it make a proximity of 1/e."""

CLIP = (-1.0, 2.0)


class Legs:
    """Arrays (n, pairs), NaN for NULL, of one panel and domain. engine : r60, r240, r1440 or fx."""

    def __init__(self, streams: Streams, domain: Domain) -> None:
        self._streams, self._domain = streams, domain
        self._stream = streams.stream(domain)
        self._age, self._segment = streams.panel.grid.seg_age, streams.segment
        self._known: dict[tuple[str, str], tuple[F8, ...]] = {}

    def _once(self, what: str, engine: str, make: Callable[[], tuple[F8, ...]]) -> tuple[F8, ...]:
        if (what, engine) not in self._known:
            self._known[what, engine] = make()
        return self._known[what, engine]

    @cached_property
    def _grids(self) -> tuple[F8, F8]:
        """Highs on the grid, and lows turned over, so that both are looked at for peaks."""
        return on_grid(self._stream.high), -on_grid(self._stream.low)

    @cached_property
    def _inside(self) -> dict[str, tuple[F8, F8]]:
        """Highest high and lowest low of both windows within a segment."""
        s = self._stream
        found = window_extremes(s.high, s.low, self._age, INSIDE, [needed(n) for n in INSIDE])
        return {f"r{n}": both for n, both in zip(INSIDE, found, strict=True)}

    def _extremes(self, engine: str) -> tuple[F8, ...]:
        """Highest high, lowest low, and bars since each."""
        return self._once("extremes", engine, lambda: self._make_extremes(engine))

    def _make_extremes(self, engine: str) -> tuple[F8, ...]:
        if engine == "fx":
            return self._swings()
        if engine == f"r{ACROSS}":
            return self._rolling_across()
        return (*self._inside[engine], *(peak_age(key, int(engine[1:])) for key in self._grids))

    def _rolling_across(self) -> tuple[F8, ...]:
        """Each segment with the rows before it that its windows see, in its own coordinates."""
        s = self._stream
        out = tuple(np.empty(s.close.shape) for _ in range(4))
        for first, start, stop in stretches(self._age, ACROSS - 1):
            high, low = (splice(x, self._segment, s.ends, first, start, stop) for x in (s.high, s.low))
            rows = np.arange(stop - first, dtype=np.int32)
            found = window_extremes(high, low, rows, [ACROSS], [needed(ACROSS)])[0]
            ages = (peak_age(key, ACROSS) for key in (on_grid(high), -on_grid(low)))
            for whole, part in zip(out, (*found, *ages), strict=True):
                whole[start:stop] = part[start - first :]
        return out

    def _swings(self) -> tuple[F8, ...]:
        s = self._stream
        high, low = self._grids
        top, bottom = window_extremes(high, -low, self._age, [HALF], [HALF])[0]
        where = (self._age, self._segment, s.ends, HALF, REACH)
        hi, hi_age = last_swing(s.high, high, top, *where)
        lo, lo_age = last_swing(s.low, low, -bottom, *where)
        return hi, lo, hi_age, lo_age

    def _leg(self, engine: str) -> tuple[F8, ...]:
        """Length, direction, depth."""
        return self._once("leg", engine, lambda: leg(self._stream.close, *self._extremes(engine)))

    @cached_property
    def _atr(self) -> F8:
        return Series(self._streams, self._domain).atr(ATR)

    def place(self, engine: str) -> F8:
        length, bottom = self._leg(engine)[0], self._extremes(engine)[1]
        return share(self._stream.close - bottom, length, *CLIP)

    def range(self, engine: str) -> F8:
        length, direction, _ = self._leg(engine)
        return np.where(np.isnan(direction), np.nan, length) if engine == "fx" else length

    def direction(self, engine: str) -> F8:
        return self._leg(engine)[1]

    def age(self, engine: str, which: int) -> F8:
        """Bars since the high (0) or the low (1)."""
        known = ~np.isnan(self._leg(engine)[0])
        return np.where(known, self._extremes(engine)[2 + which], np.nan)

    def retrace(self, engine: str) -> F8:
        length, _, depth = self._leg(engine)
        return share(depth, length, *CLIP)

    def proximity(self, engine: str, level: str) -> F8:
        length, _, depth = self._leg(engine)
        return proximity(depth, length, self._atr, LEVELS[level], WIDTH)

    def nearest(self, engine: str) -> F8:
        length, direction, depth = self._leg(engine)
        return nearest(depth, length, direction, self._atr, tuple(LEVELS.values()))
