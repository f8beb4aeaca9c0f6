"""volatility_surface the slow way: a polynomial by the library, and the recursion of the variance in plain Python."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.fits import fitted
from bqx.features.refresh import point_before
from bqx.features.streams import Streams

F8 = NDArray[np.float64]

BARS = (15, 30, 60, 120, 240)
_KEPT: WeakKeyDictionary[Streams, dict[tuple[int, int], list[float]]] = WeakKeyDictionary()


def _parabola_reference(streams: Streams, row: int, pair: int) -> tuple[float, float]:
    """Coefficients of x and x^2, x = ln w about its middle."""
    y = []
    for w in BARS:
        v = streams.rate_change[row - w + 1 : row + 1, pair]
        v = v[~np.isnan(v)]
        y.append(0.5 * math.log(math.fsum(v * v) / len(v)))
    two, one, _ = np.polyfit(np.log(BARS) - math.log(60), y, 2)
    return float(one), float(two)


def _variances_reference(streams: Streams, point: int, pair: int, parameters: F8) -> list[float]:
    """Standard deviations after each change since the week's first minute."""
    kept = _KEPT.setdefault(streams, {})
    if (point, pair) not in kept:
        omega, alpha, beta, h = (float(v) for v in parameters)
        out = []
        for v in streams.rate_change[point:, pair].tolist():
            h = h if math.isnan(v) else omega + alpha * v * v + beta * h
            out.append(math.sqrt(h))
        kept[point, pair] = out
    return kept[point, pair]


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way; the estimates are those in force, which tests hold against another library's."""
    if column in ("vs_slope", "vs_curv"):
        return _parabola_reference(streams, row, pair)[column == "vs_curv"]
    from bqx.features.families.extensions.volatility_surface_garch import GARCH

    minute = point_before(int(streams.panel.grid.minute[row]), "week", streams.calendar)
    point = streams.panel.grid.index(minute)
    parameters = fitted(GARCH, streams, point)[pair]
    if column == "vs_garch_persist":
        return float(parameters[1] + parameters[2])
    return _variances_reference(streams, point, pair, parameters)[row - point]
