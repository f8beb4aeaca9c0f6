"""Parabolas of six windows, normalised by the window's deviation and held against each other; arrays (n, pairs)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.extensions.reg_series import Parabolas, Part
from bqx.features.kernels.autocorr import autocorrelation
from bqx.features.kernels.hac import slope_t
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.kernels.moments import over
from bqx.features.kernels.oscillators import ratio
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]

BARS = (15, 30, 45, 60, 75, 90)
LAG = 15
"""Bars over which a coefficient's change is taken."""
LONG = 240
FADES = -2.0
"""t statistic of the slope of R^2 below which a fit is said to get worse."""
SURE = 1.0

_LOGS = [log_ratio(float(w), 1.0) for w in BARS]
_AWAY = [x - sum(_LOGS) / len(_LOGS) for x in _LOGS]
WEIGHTS = [x / sum(y * y for y in _AWAY) for x in _AWAY]
"""Of a least-squares slope on ln W."""


def total(parts: Sequence[F8]) -> F8:
    """Sum in the given order."""
    out = parts[0]
    for part in parts[1:]:
        out = out + part
    return out


def deviation(parts: Sequence[F8]) -> F8:
    """Sample standard deviation across arrays."""
    mean = total(parts) / len(parts)
    away = [part - mean for part in parts]
    return np.sqrt(total([x * x for x in away]) / (len(parts) - 1))


def contrast(x: F8, z: F8) -> F8:
    """(x - z) / (|x| + |z|)."""
    return ratio(x - z, np.abs(x) + np.abs(z))


def flag(known: F8, holds: NDArray[np.bool_]) -> F8:
    return np.where(np.isnan(known), np.nan, holds)


class Shapes:
    """Normalised coefficients of one panel and domain."""

    def __init__(self, streams: Streams, domain: Domain) -> None:
        self._parabolas, self._age = Parabolas(streams, domain), streams.panel.grid.seg_age
        self._known: dict[tuple[Part, int], F8] = {}

    def normal(self, part: Part, w: int) -> F8:
        """A term over the deviation of the levels of its window."""
        if (part, w) not in self._known:
            self._known[part, w] = over(self._parabolas.part(part, w), self._parabolas.part("deviation", w))
        return self._known[part, w]

    def a1(self, w: int) -> F8:
        return self.normal("linear", w)

    def a2(self, w: int) -> F8:
        return self.normal("quadratic", w)

    def b(self, w: int) -> F8:
        return self.normal("level", w)

    def r2(self, w: int) -> F8:
        return self._parabolas.part("r2", w)

    def a2_contrast(self, short: int, long: int) -> F8:
        return contrast(self.a2(short), self.a2(long))

    def a1_contrast(self, short: int, long: int) -> F8:
        return contrast(self.a1(short), self.a1(long))

    def a2_consistency(self) -> F8:
        return deviation([self.a2(w) for w in BARS])

    def a1_consistency(self) -> F8:
        return deviation([self.a1(w) for w in BARS])

    def r2_consistency(self) -> F8:
        return deviation([self.r2(w) for w in BARS])

    def a2_trend_slope(self) -> F8:
        return total([c * self.a2(w) for c, w in zip(WEIGHTS, BARS, strict=True)])

    def a2_regime_shift(self) -> F8:
        short, long = self._parabolas.part("t2", 15), self._parabolas.part("t2", 60)
        product = short * long
        return flag(product, (product < 0.0) & (np.abs(short) > SURE) & (np.abs(long) > SURE))

    def a1_acceleration(self) -> F8:
        return lag_inside(self.a1(15), self._age, LAG)

    def a1_momentum(self) -> F8:
        weights = [self.r2(w) for w in BARS]
        top = total([r * self.a1(w) for r, w in zip(weights, BARS, strict=True)])
        return ratio(top, total(weights))

    def b_gap(self, short: int, long: int) -> F8:
        return self.b(short) - self.b(long)

    def b_drift_rate(self) -> F8:
        return lag_inside(self.b(60), self._age, LAG) / LAG

    def b_reversion_tendency(self) -> F8:
        step = lag_inside(self.b(60), self._age, 1)
        return -autocorrelation(step, self._age, 1, LONG, needed(LONG))

    def r2_spread(self, short: int, long: int) -> F8:
        return self.r2(short) - self.r2(long)

    def rmse_ratio(self, short: int, long: int) -> F8:
        return logarithm(over(self._parabolas.part("rmse", short), self._parabolas.part("rmse", long)))

    def quality_degradation_flag(self) -> F8:
        t = slope_t(self.r2(60), self._age, 60, needed(60), 3, False)
        return flag(t, t < FADES)
