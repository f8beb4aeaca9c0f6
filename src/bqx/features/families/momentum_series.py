"""Arrays the momentum columns are made of, each worked out once; (n, pairs), NaN for NULL."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.technical_series import Series
from bqx.features.kernels.autocorr import autocorrelation
from bqx.features.kernels.breakout import breakout
from bqx.features.kernels.hac import slope_t
from bqx.features.kernels.lags import lag_across, lag_inside, lag_plain
from bqx.features.kernels.lines import line
from bqx.features.kernels.memory import autocorrelation_across
from bqx.features.kernels.moments import centre
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.peaks import on_grid
from bqx.features.kernels.quadratic import parabola
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.kernels.runs import signs
from bqx.features.kernels.spread import deviation_across
from bqx.features.kernels.window_extremes import window_extremes
from bqx.features.streams import Domain, Streams
from bqx.features.support import Policy, needed

F8 = NDArray[np.float64]

LONGEST_SEG = 240
RANKED = 1440
"""Changes among which `mom_rank` ranks the latest: a trading day."""
LONG = 4
"""Windows W in the window that deviation, autocorrelation and the long trend see."""
FAST = 3
"""Windows W of `ema_cross` in which the fast mean's period goes."""
ATR = 60

LAGS = {15: 2, 30: 3, 60: 3, 120: 4, 240: 4, 960: 6}
"""Newey and West's lag, the whole part of 4 (W / 100)^(2/9), by window."""


def policy(bars: int) -> Policy:
    return "SEG" if bars <= LONGEST_SEG else "XGAP"


class Momentum:
    """Arrays of one panel, domain and window."""

    def __init__(self, streams: Streams, domain: Domain, window: int) -> None:
        self._streams, self._stream, self.window = streams, streams.stream(domain), window
        self._technical = Series(streams, domain)
        self._age, self._need = streams.panel.grid.seg_age, needed(window)
        self._known: dict[str, tuple[F8, ...]] = {}

    def _once(self, name: str, make: Callable[[], tuple[F8, ...]]) -> tuple[F8, ...]:
        if name not in self._known:
            self._known[name] = make()
        return self._known[name]

    def acceleration(self) -> F8:
        s, w = self._stream, self.window
        moved = lag_inside(lag_inside(s.close, self._age, w), self._age, w)
        return ratio(moved, self._deviation() * math.sqrt(2 * w))

    def _deviation(self) -> F8:
        """Sample standard deviation of dy over 4W bars."""
        bars = LONG * self.window
        if policy(bars) == "SEG":
            return centre(self._stream.change, self._age, bars, needed(bars), 1)[2]
        return deviation_across(self._stream.change, self._age, bars, needed(bars))

    def sma_gap(self) -> F8:
        shift, excess, _ = centre(self._stream.close, self._age, self.window, self._need, 1)
        return (self._stream.close - shift) - excess

    def _ema(self, n: int) -> F8:
        s = self._stream
        return self._once(f"ema {n}", lambda: (self._technical.ema(s.close, n, s.ends),))[0]

    def ema_gap(self) -> F8:
        return self._stream.close - self._ema(self.window)

    def ema_cross(self) -> F8:
        return self._ema(self.window // FAST) - self._ema(self.window)

    def line(self, part: int) -> F8:
        """Slope (0) or R^2 (1)."""
        return self._once("line", lambda: line(self._stream.close, self._age, self.window, self._need, across=False))[
            part
        ]

    def trend(self, bars: int) -> F8:
        """t statistic of the slope over `bars` bars."""
        s, across = self._stream, policy(bars) == "XGAP"
        levels = (self._streams.segment, s.ends)
        return self._once(
            f"trend {bars}", lambda: (slope_t(s.close, self._age, bars, needed(bars), LAGS[bars], across, levels),)
        )[0]

    def divergence(self) -> F8:
        return self.trend(self.window) - self.trend(LONG * self.window)

    def parabola(self, part: int) -> F8:
        """Second derivative (0), gain in R^2 (1), vertex (2), last residual (3)."""
        return self._once("parabola", lambda: parabola(self._stream.close, self._age, self.window, self._need))[part]

    def efficiency(self) -> F8:
        """Sums of both kinds over the same valid changes, so that it is at most 1 whatever is missing."""
        change = self._stream.change
        net, path = (self._mean(x) for x in (change, np.abs(change)))
        return np.minimum(ratio(np.abs(net), path), 1.0)

    def _mean(self, x: F8) -> F8:
        shift, excess, _ = centre(x, self._age, self.window, self._need, 1)
        return shift + excess

    def signs(self, part: int) -> F8:
        """Streak (0) or balance (1)."""
        return self._once("signs", lambda: signs(self._stream.change, self._age, self.window, self._need))[part]

    def _extremes(self) -> tuple[F8, ...]:
        s = self._stream
        return self._once("range", lambda: window_extremes(s.high, s.low, self._age, [self.window], [self._need])[0])

    def runup(self) -> F8:
        return self._stream.close - self._extremes()[1]

    def drawdown(self) -> F8:
        return self._stream.close - self._extremes()[0]

    def place(self) -> F8:
        top, bottom = self._extremes()
        return ratio(self._stream.close - bottom, top - bottom)

    def breakout(self) -> F8:
        top, bottom = self._extremes()
        found = breakout(self._stream.close, top, bottom, self._technical.atr(ATR))
        found[self._age == 0] = np.nan
        return found

    def serial(self) -> F8:
        """Lag-1 autocorrelation of dy over 4W pairs."""
        bars = LONG * self.window
        make = autocorrelation if policy(bars) == "SEG" else autocorrelation_across
        return make(self._stream.change, self._age, 1, bars, needed(bars))

    def rank(self) -> F8:
        y, ends = self._stream.close, self._stream.ends
        moved = lag_across(y, self._streams.segment, ends, self.window) if len(ends) else lag_plain(y, self.window)
        return percentile_rank(on_grid(moved).astype(np.float32), RANKED, needed(RANKED))
