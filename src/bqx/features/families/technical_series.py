"""The series of the technical family, each computed when first asked for and shared by its columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.ages import event_age, side_age
from bqx.features.kernels.channel import channel_index
from bqx.features.kernels.deviation import standardised, window_mean
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.oscillators import mean_of_three, ratio
from bqx.features.kernels.places import places
from bqx.features.kernels.ranges import movements
from bqx.features.kernels.smooth import smooth
from bqx.features.kernels.wilder import directional, relative_strength
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]

POSITIONS, WILLIAMS = (5, 14, 90), (7, 14, 28, 60, 120)
"""Periods of raw %K and of %R."""

CROSS_CAP, EXTREME_CAP = 60, 240
AGE_BURN = 480
EXTREME = 100.0
TIE = 1e-6
"""Caps of the ages and their head start before a segment, in bars; what is extreme for CCI; points within which %K and
%D are equal, a thousand times their rounding error."""


def ema_need(n: int) -> int:
    return 5 * n


def ema_burn(n: int) -> int:
    return 10 * n


def wilder_need(n: int) -> int:
    return 10 * n


def wilder_burn(n: int) -> int:
    return 20 * n


class Series:
    """Arrays (n, pairs), NaN for NULL, of one panel and domain."""

    def __init__(self, streams: Streams, domain: Domain) -> None:
        self._stream = streams.stream(domain)
        self._age = streams.panel.grid.seg_age
        self._segment = streams.segment
        self._none = np.empty((0, streams.panel.shape[1]))
        self._known: dict[tuple[object, ...], F8] = {}

    def _once(self, key: tuple[object, ...], make: Callable[[], F8]) -> F8:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def slope(self, x: F8, bars: int) -> F8:
        return lag_inside(x, self._age, bars) / bars

    def z(self, x: F8, n: int) -> F8:
        return standardised(x, self._age, n, needed(n))

    def rsi(self, n: int) -> F8:
        return self._once(
            ("rsi", n),
            lambda: relative_strength(self._stream.change, self._age, n, wilder_need(n), wilder_burn(n)),
        )

    def ema(self, x: F8, n: int, ends: F8) -> F8:
        return smooth(x, self._age, self._segment, ends, 2.0 / (n + 1), n, ema_need(n), ema_burn(n))

    def wilder(self, x: F8, n: int) -> F8:
        return smooth(x, self._age, self._segment, self._none, 1.0 / n, n, wilder_need(n), wilder_burn(n))

    def macd_line(self, fast: int, slow: int) -> F8:
        s = self._stream
        return self._once(
            ("line", fast, slow), lambda: self.ema(s.close, fast, s.ends) - self.ema(s.close, slow, s.ends)
        )

    def macd_signal(self, fast: int, slow: int, n: int) -> F8:
        return self._once(("signal", fast, slow), lambda: self.ema(self.macd_line(fast, slow), n, self._none))

    def macd_histogram(self, fast: int, slow: int, n: int) -> F8:
        return self._once(
            ("histogram", fast, slow), lambda: self.macd_line(fast, slow) - self.macd_signal(fast, slow, n)
        )

    @cached_property
    def _places(self) -> tuple[dict[int, F8], dict[int, F8]]:
        """Raw %K and %R of all periods."""
        s = self._stream
        wanted = ({n: needed(n) for n in periods} for periods in (POSITIONS, WILLIAMS))
        return places(s.close, s.high, s.low, self._age, *wanted)

    def position(self, n: int) -> F8:
        """Raw %K: the close between the lowest low and the highest high of n bars, 0-100."""
        return self._places[0][n]

    def williams(self, n: int) -> F8:
        return self._places[1][n]

    def williams_mean(self) -> F8:
        mean = window_mean(self.williams(14), self._age, 60, needed(60))
        return np.minimum(np.maximum(mean, -100.0), 0.0)

    def stochastic(self, smoothed: int) -> F8:
        """Raw %K of 14 bars smoothed by SMA_3 once (stoch_k), twice (stoch_d) or three times (stoch_slow_d)."""
        if smoothed == 0:
            return self.position(14)
        return self._once(("stochastic", smoothed), lambda: mean_of_three(self.stochastic(smoothed - 1)))

    def cross_age(self) -> F8:
        return side_age(self.stochastic(1), self.stochastic(2), self._age, TIE, CROSS_CAP, AGE_BURN)

    def stochastic_rsi(self, n: int) -> F8:
        rsi = self.rsi(n)
        return places(rsi, rsi, rsi, self._age, {n: needed(n)}, {})[0][n]

    @cached_property
    def _typical(self) -> F8:
        s = self._stream
        return (s.high + s.low + s.close) / 3.0

    def cci(self, n: int) -> F8:
        return self._once(("cci", n), lambda: channel_index(self._typical, self._age, n, needed(n)))

    def extreme_age(self) -> F8:
        return event_age(self.cci(20), self._age, EXTREME, EXTREME_CAP, AGE_BURN)

    def change(self, n: int) -> F8:
        return self._once(("change", n), lambda: lag_inside(self._stream.close, self._age, n))

    @cached_property
    def _movements(self) -> tuple[F8, F8, F8]:
        """True range, +DM, -DM."""
        s = self._stream
        return movements(s.high, s.low, s.close, self._age)

    def atr(self, n: int) -> F8:
        return self._once(("atr", n), lambda: self.wilder(self._movements[0], n))

    def atr_ratio(self, fast: int, slow: int) -> F8:
        return ratio(self.atr(fast), self.atr(slow))

    def directional(self, n: int) -> tuple[F8, F8, F8]:
        """DI+, DI-, DX."""
        if ("plus", n) not in self._known:
            found = directional(*self._movements, self._age, n, wilder_need(n), wilder_burn(n))
            self._known.update(zip((("plus", n), ("minus", n), ("index", n)), found, strict=True))
        return self._known["plus", n], self._known["minus", n], self._known["index", n]

    def plus(self, n: int) -> F8:
        return self.directional(n)[0]

    def minus(self, n: int) -> F8:
        return self.directional(n)[1]

    def adx(self, n: int) -> F8:
        return self._once(("adx", n), lambda: self.wilder(self.directional(n)[2], n))
