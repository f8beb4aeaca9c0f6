"""Two series against each other inside a segment: earlier values, correlations, lines; arrays (n, pairs)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.moments import centre, over
from bqx.features.kernels.products import correlations
from bqx.features.support import needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


def lagged(x: F8, age: I4, bars: int) -> F8:
    """The value `bars` ago in the segment."""
    if bars == 0:
        return x
    out = np.full(x.shape, np.nan)
    out[bars:] = x[:-bars]
    out[age < bars] = np.nan
    return out


def together(a: F8, b: F8) -> tuple[F8, F8]:
    """Both where both are valid."""
    null = np.isnan(a) | np.isnan(b)
    return np.where(null, np.nan, a), np.where(null, np.nan, b)


def correlation(a: F8, b: F8, age: I4, w: int) -> F8:
    """Of the last `w` rows of the segment."""
    a, b = together(a, b)
    out = np.empty(a.shape)
    correlations(a, b, age, w, needed(w), out)
    return out


def line_on(a: F8, b: F8, age: I4, w: int) -> tuple[F8, F8, F8]:
    """b on a over the last `w` rows of the segment: slope, R^2, and the latest residual over the root mean square of
    residuals."""
    a, b = together(a, b)
    r = np.empty(a.shape)
    correlations(a, b, age, w, needed(w), r)
    (a_shift, a_excess, a_spread), (b_shift, b_excess, b_spread) = (centre(x, age, w, needed(w), 0) for x in (a, b))
    slope = over(r * b_spread, a_spread)
    error = ((b - b_shift) - b_excess) - slope * ((a - a_shift) - a_excess)
    share = r * r
    return slope, share, over(error, b_spread * np.sqrt(1.0 - share))
