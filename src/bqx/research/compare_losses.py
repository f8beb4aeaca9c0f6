"""Is one forecast better than another? Diebold and Mariano (1995), corrected for small samples and overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError

F8 = NDArray[np.float64]
FEWEST = 50


@dataclass(frozen=True, slots=True)
class Compared:
    """mean : of the loss difference a - b. statistic : about standard normal when both are equally good.

    worse, better : one-sided p-values that a is no worse, no better than b: a small `worse` says a is worse.
    """

    mean: float
    statistic: float
    worse: float
    better: float
    n: int
    lag: int


def diebold_mariano(a: F8, b: F8, lag: int, *, window: int = 0) -> Compared:
    """Compare losses (n,) of two forecasts of the same rows in order of time.

    Variance by Newey and West (1987) over `window` rows, at least `lag` and n^(1/3); the factor of Harvey, Leybourne
    and Newbold (1997) for a horizon of lag + 1 rows. With 50 rows or more the normal law stands for Student's.

    >>> d = diebold_mariano(np.r_[np.ones(50), np.zeros(50)], np.full(100, 0.5), 4)
    >>> d.mean, round(d.worse, 3)
    (0.0, 0.5)
    """
    d = np.asarray(a - b, dtype=np.float64)
    n = len(d)
    if n < FEWEST:
        raise CheckError(f"{n} losses to compare, {FEWEST} are the least", fix="give a longer test")
    most = min(max(lag, window, math.ceil(n ** (1 / 3))), n - 1)
    z = statistic(d, lag + 1, 1.0 - np.arange(1, most + 1) / (most + 1))
    return Compared(float(d.mean()), z, _above(z), _above(-z), n, most)


def statistic(d: F8, horizon: int, weights: F8) -> float:
    """Corrected statistic of loss differences d (n,): autocovariances beyond the variance by `weights`, lag 1 first.

    Equal weights over horizon - 1 lags are those of Diebold and Mariano. 0 where the variance is not positive.
    """
    n = len(d)
    e = d - d.mean()
    variance = float(e @ e) / n
    for k, weight in enumerate(weights.tolist(), start=1):
        variance += 2.0 * weight * float(e[k:] @ e[:-k]) / n
    if variance <= 0.0:
        return 0.0
    h = horizon
    factor = math.sqrt(max((n + 1 - 2 * h + h * (h - 1) / n) / n, 1e-9))
    return factor * float(d.mean()) / math.sqrt(variance / n)


def _above(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2.0))
