"""The Sharpe ratio of daily profit with its uncertainty: by asymptotics (Lo 2002) and by the block bootstrap."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.research.bootstrap import block_length, resampled_sums

F8 = NDArray[np.float64]
DAYS = 252
FEWEST = 20
DRAWS = 2000
Z95 = 1.959963984540054


def moments(x: F8) -> tuple[float, float, float, float]:
    """Mean, deviation (n - 1), skewness, kurtosis (3 for a normal); skewness 0 and kurtosis 3 when all are equal."""
    mean, deviation = float(x.mean()), float(x.std(ddof=1))
    e = x - mean
    m2 = float((e**2).mean())
    if m2 <= 0.0:
        return mean, 0.0, 0.0, 3.0
    return mean, deviation, float((e**3).mean()) / m2**1.5, float((e**4).mean()) / m2**2


def sharpe(x: F8) -> float:
    """Mean over deviation a period, (n,); 0 when nothing varies (no trades)."""
    mean, deviation, _, _ = moments(x)
    return mean / deviation if deviation > 0.0 else 0.0


def lo_error(ratio: float, n: int) -> float:
    """Standard error of a ratio a period for independent normal returns: sqrt((1 + SR^2 / 2) / n) (Lo 2002, eq. 9).

    >>> round(math.sqrt(252) * lo_error(1.5 / math.sqrt(252), 252), 3)
    1.002
    """
    return math.sqrt((1.0 + 0.5 * ratio * ratio) / n)


def hac_error(x: F8) -> float:
    """Standard error of a ratio a period without those assumptions: Lo's (2002, eq. 13) method of moments, the long-run
    variance of the influence z - SR (z^2 - 1) / 2 by Newey and West (1987) over n^(1/3) lags."""
    n = len(x)
    mean, deviation = float(x.mean()), float(x.std())
    if deviation <= 0.0:
        return math.inf
    z = (x - mean) / deviation
    g = z - 0.5 * (mean / deviation) * (z * z - 1.0)
    lags = math.ceil(n ** (1 / 3))
    total = float(g @ g) / n
    for k in range(1, lags + 1):
        total += 2.0 * (1.0 - k / (lags + 1)) * float(g[k:] @ g[:-k]) / n
    return math.sqrt(max(total, 0.0) / n)


def null_error(x: F8) -> float:
    """Standard error a period of the ratio of a strategy without skill that has the memory of x (n,): the long-run
    deviation of x over its deviation, by Newey and West over n^(1/3) lags, over sqrt n; at least 1 / sqrt n."""
    n = len(x)
    e = x - x.mean()
    variance = float(e @ e) / n
    if variance <= 0.0:
        return 1.0 / math.sqrt(n)
    lags = math.ceil(n ** (1 / 3))
    total = variance + sum(2.0 * (1.0 - k / (lags + 1)) * float(e[k:] @ e[:-k]) / n for k in range(1, lags + 1))
    return math.sqrt(max(total / variance, 1.0) / n)


@dataclass(frozen=True, slots=True)
class Sharpe:
    """A year's ratio (daily times sqrt 252). low, high : 95 % interval of the stationary bootstrap with blocks of
    `block` days; lo_low, lo_high : by Lo's HAC error. error : that error, and `iid_error` the one of the textbook, a
    year. daily : the ratio a day; skew, kurtosis, correlation (lag 1) of daily profit; days : how many."""

    ratio: float
    low: float
    high: float
    lo_low: float
    lo_high: float
    error: float
    iid_error: float
    daily: float
    skew: float
    kurtosis: float
    correlation: float
    days: int
    block: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def sharpe_of(x: F8, *, seed: int = 0, draws: int = DRAWS) -> Sharpe:
    """Of daily profit (n,), all trade days in, also those without trades. CheckError below 20 days or when nothing
    varies."""
    n = len(x)
    _, deviation, skew, kurtosis = moments(x) if n > 1 else (0.0, 0.0, 0.0, 3.0)
    if n < FEWEST or deviation <= 0.0:
        why = f"{n} days, {FEWEST} are the least" if n < FEWEST else f"{n} days without any profit or loss"
        raise CheckError(f"a Sharpe ratio of {why}", fix="give a longer test or a rule that trades")
    root, daily = math.sqrt(DAYS), sharpe(x)
    block = block_length(x)
    sums = resampled_sums(np.ascontiguousarray(np.stack([x, x * x], axis=1)), block, draws, seed)
    mean = sums[:, 0] / n
    spread = np.sqrt(np.maximum(sums[:, 1] / n - mean**2, 0.0) * n / (n - 1))
    ratios = np.where(spread > 0.0, mean / np.where(spread > 0.0, spread, 1.0), 0.0)
    low, high = np.quantile(ratios, [0.025, 0.975]) * root
    error = hac_error(x) * root
    e = x - x.mean()
    correlation = float(e[1:] @ e[:-1]) / float(e @ e)
    return Sharpe(
        daily * root, float(low), float(high), daily * root - Z95 * error, daily * root + Z95 * error, error,
        lo_error(daily, n) * root, daily, skew, kurtosis, correlation, n, block,
    )  # fmt: skip
