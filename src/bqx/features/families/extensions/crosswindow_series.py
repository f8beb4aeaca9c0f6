"""Arrays the crosswindow columns are made of, each worked out once; (n, pairs), NaN for NULL."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.extensions.pairing import correlation, lagged, together
from bqx.features.families.extensions.parabolic_series import deviation, total
from bqx.features.families.momentum_series import Momentum
from bqx.features.families.regime_trend import DATASETS as REGIME_TREND
from bqx.features.families.returns import DATASETS as RETURNS
from bqx.features.kernels.autocorr import autocorrelation
from bqx.features.kernels.bands import balance
from bqx.features.kernels.causation import improvement, transfer_entropy
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.kernels.memory import correlations_across
from bqx.features.kernels.moments import centre, over
from bqx.features.kernels.softmax import first_weight
from bqx.features.kernels.spread import deviation_across
from bqx.features.kernels.squares import root_sum_of_squares
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]

HORIZONS = (15, 30, 45, 60, 75)
LINES = (15, 30, 60, 240)
"""Windows of the changes that are compared, and of the lines and parabolas."""
LONG, LONGER = 240, 480
LAGS = tuple(range(1, 31))
EVERY, SAMPLES = 15, 32
"""Bars between the observations of Granger's test, and how many of them 480 bars hold."""
STILL, NOTHING = 1e-9, 1e-9
"""bps below which nothing moved; what is rounding of a ratio or a curvature."""

_LOGS = [log_ratio(float(w), 1.0) for w in LINES]
_AWAY = [x - sum(_LOGS) / len(_LOGS) for x in _LOGS]
LOG_WEIGHTS = [x / sum(y * y for y in _AWAY) for x in _AWAY]
"""Of a least-squares slope on ln W over the four windows."""
_MIDDLE = sum(LAGS) / len(LAGS)
LAG_WEIGHTS = [(k - _MIDDLE) / sum((i - _MIDDLE) * (i - _MIDDLE) for i in LAGS) for k in LAGS]
"""Of a least-squares slope on the lag."""


def majority(parts: Sequence[F8]) -> F8:
    """Share of the arrays with the sign that most have; zeros, and what is rounding, stand with the majority."""
    rises = total([np.where(np.isnan(x), np.nan, x > NOTHING) for x in parts])
    falls = total([np.where(np.isnan(x), np.nan, x < -NOTHING) for x in parts])
    return (len(parts) - np.minimum(rises, falls)) / len(parts)


class CrossWindow:
    """Arrays of one panel and domain."""

    def __init__(self, streams: Streams, domain: Domain) -> None:
        self.streams, self.domain, self.stream = streams, domain, streams.stream(domain)
        self.age = streams.panel.grid.seg_age
        self._known: dict[tuple[object, ...], F8] = {}
        self._lines = {w: Momentum(streams, domain, w) for w in LINES}

    def _once(self, key: tuple[object, ...], make: Callable[[], F8]) -> F8:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def moved(self, w: int) -> F8:
        return self._once(("moved", w), lambda: lag_inside(self.stream.close, self.age, w))

    def persistence(self, short: int, long: int) -> F8:
        return correlation(lagged(self.moved(short), self.age, long), self.moved(long), self.age, LONG)

    def acceleration(self) -> F8:
        sigma = centre(self.stream.change, self.age, LONG, needed(LONG), 1)[2]
        return over(self.moved(45), sigma * math.sqrt(45)) - over(self.moved(90), sigma * math.sqrt(90))

    @cached_property
    def _scores(self) -> list[F8]:
        home = next(h for h in RETURNS if h.name == f"returns_std_{self.domain}")
        names = [f"retz_{h}" for h in HORIZONS]
        found = home.compute(self.streams, names)
        return [found[name] for name in names]

    def divergence(self) -> F8:
        return deviation(self._scores)

    def clustering(self) -> F8:
        return majority(self._scores)

    def root(self, w: int) -> F8:
        """RV, the root of the sum of squares, of w bars."""
        return self._once(("root", w), lambda: root_sum_of_squares(self.stream.change, self.age, w, needed(w), False))

    def log_root(self, w: int) -> F8:
        return self._once(("log", w), lambda: logarithm(self.root(w)))

    def _across(self, a: F8, b: F8) -> F8:
        return correlations_across(*together(a, b), self.age, LONGER, needed(LONGER))

    def transmission(self) -> F8:
        return self._across(lagged(self.log_root(15), self.age, 15), self.log_root(60))

    def spillover(self) -> F8:
        """A coefficient of two from the correlations of three series, over the rows that all have."""
        y, short, own = (
            self.log_root(60),
            lagged(self.log_root(15), self.age, 60),
            lagged(self.log_root(60), self.age, 60),
        )
        null = np.isnan(y) | np.isnan(short) | np.isnan(own)
        y, short, own = (np.where(null, np.nan, x) for x in (y, short, own))
        with_short, with_own, both = self._across(short, y), self._across(own, y), self._across(short, own)
        partial = over(with_short - with_own * both, 1.0 - both * both)
        spread, of_short = (deviation_across(x, self.age, LONGER, needed(LONGER)) for x in (y, short))
        return over(partial * spread, of_short)

    def cascade(self) -> F8:
        return self._once(("cascade",), lambda: logarithm(over(2.0 * self.root(15), self.root(60))))

    def cascade_change(self) -> F8:
        return lag_inside(self.cascade(), self.age, 15)

    def r2_stability(self) -> F8:
        return deviation([self._lines[w].line(1) for w in LINES])

    def slope_evolution(self) -> F8:
        return total([c * self._lines[w].line(0) for c, w in zip(LOG_WEIGHTS, LINES, strict=True)])

    def curvature(self) -> F8:
        return majority([self._lines[w].parabola(0) for w in LINES])

    def residual(self, w: int) -> F8:
        return self._lines[w].parabola(3)

    def error_propagation(self) -> F8:
        return correlation(lagged(self.residual(15), self.age, 15), self.residual(60), self.age, LONG)

    def shocks(self) -> F8:
        return self._across(lagged(np.abs(self.residual(15)), self.age, 15), self.root(60))

    @cached_property
    def _memory(self) -> list[F8]:
        """|autocorrelation| of the changes by lag."""
        return [np.abs(autocorrelation(self.stream.change, self.age, k, LONG, needed(LONG))) for k in LAGS]

    @cached_property
    def _strongest(self) -> tuple[F8, F8]:
        """The largest and its lag, of equals the shortest."""
        best, at = self._memory[0], np.where(np.isnan(self._memory[0]), np.nan, float(LAGS[0]))
        for k, x in zip(LAGS[1:], self._memory[1:], strict=True):
            larger = x > best
            null = np.isnan(best) | np.isnan(x)
            best = np.where(null, np.nan, np.where(larger, x, best))
            at = np.where(null, np.nan, np.where(larger, float(k), at))
        return best, at

    def dependency(self, part: int) -> F8:
        return self._strongest[part]

    def decay(self) -> F8:
        return total([c * x for c, x in zip(LAG_WEIGHTS, self._memory, strict=True)])

    def granger(self) -> F8:
        return improvement(self._scores[HORIZONS.index(60)], self._scores[0], EVERY, SAMPLES, needed(SAMPLES))

    def information(self) -> F8:
        moved = self.moved(15)
        sign = np.where(np.abs(moved) <= STILL, 0.0, np.sign(moved)) + 1.0
        codes = 9.0 * sign + 3.0 * lagged(sign, self.age, 15) + lagged(sign, self.age, 1)
        return transfer_entropy(codes, LONGER, needed(LONGER))

    def synchrony(self) -> F8:
        a, b, c = self.moved(15), self.moved(30), self.moved(60)
        return total([correlation(x, y, self.age, LONG) for x, y in ((a, b), (a, c), (b, c))]) / 3.0

    def consistency(self) -> F8:
        """Share of the last 60 states that are the current one."""
        home = next(h for h in REGIME_TREND if h.domain == self.domain)
        state = home.compute(self.streams, ["tr_state_60"])["tr_state_60"]
        shares = {
            s: balance(np.where(np.isnan(state), np.nan, state == s), self.age, 60, needed(60)) for s in (-1, 0, 1)
        }
        out = np.where(state == 0.0, shares[0], np.where(state > 0.0, shares[1], shares[-1]))
        return np.where(np.isnan(state), np.nan, out)

    @cached_property
    def _trends(self) -> list[F8]:
        return [np.abs(self._lines[w].trend(w)) for w in LINES]

    def dominance(self) -> F8:
        best, at = self._trends[0], np.zeros(self._trends[0].shape)
        null = np.isnan(best)
        for k, t in enumerate(self._trends[1:], start=1):
            at = np.where(t > best, float(k), at)
            best = np.maximum(best, t)
            null = null | np.isnan(t)
        return np.where(null, np.nan, at)

    def weight(self) -> F8:
        first, *others = self._trends
        return first_weight(first, (others[0], others[1], others[2]))
