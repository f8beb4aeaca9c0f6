"""Scores of quantile forecasts: pinball, and the CRPS of the distribution the quantiles draw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]


def pinball(y: F8, q: F8, level: float) -> F8:
    """Loss of quantile forecasts q (n,) of y (n,): level (y - q) above, (1 - level) (q - y) below.

    >>> pinball(np.array([1.0, -1.0]), np.zeros(2), 0.9).round(2).tolist()
    [0.9, 0.1]
    """
    d = y - q
    return np.maximum(level * d, (level - 1.0) * d)


def crps(y: F8, quantiles: F8, levels: F8) -> F8:
    """Continuous ranked probability score (n,), the integral of (F(x) - 1{y <= x})^2, in units of y.

    F is linear between the quantiles (n, k) at their `levels` (k,), ascending; what lies beyond the first and last
    level sits on them as point masses. Quantiles that cross are sorted first (Chernozhukov et al. 2010).
    """
    q = np.sort(quantiles, axis=1)
    out = np.maximum(q[:, 0] - y, 0.0) + np.maximum(y - q[:, -1], 0.0)
    for k in range(len(levels) - 1):
        low, high, a, b = q[:, k], q[:, k + 1], float(levels[k]), float(levels[k + 1])
        wide = high - low
        at = np.clip(y, low, high)
        middle = a + (b - a) * np.divide(at - low, wide, out=np.zeros_like(wide), where=wide > 0.0)
        out += (at - low) * _mean_square(a, middle) + (high - at) * _mean_square(1.0 - middle, 1.0 - b)
    return np.asarray(out)


def _mean_square(a: F8 | float, b: F8 | float) -> F8:
    """Mean of x^2 over a straight line from a to b."""
    return np.asarray((a * a + a * b + b * b) / 3.0)
