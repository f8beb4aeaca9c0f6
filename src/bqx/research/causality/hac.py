"""Long-run variances robust to heteroscedasticity and autocorrelation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]


def bandwidth(n: int) -> int:
    """Lags of the Bartlett window: floor(4 (n / 100)^(2/9)) (Newey and West 1994)."""
    return int(4.0 * math.pow(n / 100.0, 2.0 / 9.0))


def long_run(scores: F8, lags: int) -> F8:
    """Newey and West (1987): sum of the scores' autocovariances with Bartlett weights, times n; (n, k) -> (k, k).

    Scores are taken as they are, not centred, as statsmodels does for a regression with HAC errors.
    """
    out: F8 = scores.T @ scores
    for lag in range(1, min(lags, len(scores) - 1) + 1):
        cross = scores[lag:].T @ scores[:-lag]
        out += (1.0 - lag / (lags + 1.0)) * (cross + cross.T)
    return out
