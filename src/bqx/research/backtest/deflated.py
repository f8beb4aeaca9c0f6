"""How much of a Sharpe ratio is left when luck, trials, skewness and short records are paid for."""

from __future__ import annotations

import math

from bqx.base.errors import CheckError
from bqx.market.sim_math import inverse_normal
from bqx.research.causality.distributions import normal_tail

EULER = 0.5772156649015329


def _variance(ratio: float, skew: float, kurtosis: float) -> float:
    """n times the variance of a ratio a period (Mertens 2002)."""
    return 1.0 - skew * ratio + 0.25 * (kurtosis - 1.0) * ratio * ratio


def probabilistic(ratio: float, benchmark: float, n: int, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Probability that the true ratio exceeds `benchmark` (Bailey and Lopez de Prado 2012); both a period, n periods.

    >>> probabilistic(0.1, 0.1, 250)
    0.5
    """
    variance = _variance(ratio, skew, kurtosis)
    if n < 2 or variance <= 0.0:
        raise CheckError(f"no probability of a Sharpe ratio from {n} periods with variance {variance:.3g}")
    return 1.0 - normal_tail((ratio - benchmark) * math.sqrt(n - 1) / math.sqrt(variance))


def best_of(trials: int, deviation: float) -> float:
    """Expected best ratio of that many independent trials without skill, whose ratios have that deviation; 0 for one.

    >>> round(best_of(100, math.sqrt(0.5 / 250)), 4)
    0.1132
    """
    if trials < 1:
        raise CheckError(f"{trials} trials were counted; what is judged is a trial itself")
    if trials == 1:
        return 0.0
    first, second = (float(inverse_normal(1.0 - 1.0 / (trials * k))) for k in (1.0, math.e))
    return deviation * ((1.0 - EULER) * first + EULER * second)


def deflated(
    ratio: float, n: int, trials: int, deviation: float, skew: float = 0.0, kurtosis: float = 3.0
) -> tuple[float, float]:
    """Deflated Sharpe ratio and the ratio it is measured against (Bailey and Lopez de Prado 2014), a period each.

    Their example: 2.5 a year over 1,250 days, 100 trials of variance 1/2 a year, skewness -3, kurtosis 10.

    >>> d, best = deflated(2.5 / math.sqrt(250), 1250, 100, math.sqrt(0.5 / 250), -3.0, 10.0)
    >>> round(d, 4), round(best, 4)
    (0.9004, 0.1132)
    """
    best = best_of(trials, deviation)
    return probabilistic(ratio, best, n, skew, kurtosis), best


def shortest_record(
    ratio: float, benchmark: float = 0.0, skew: float = 0.0, kurtosis: float = 3.0, confidence: float = 0.95
) -> float:
    """Periods from which a ratio exceeds the benchmark at that confidence, one-sided (Bailey and Lopez de Prado 2012);
    infinite when it does not exceed it at all. One more than by Lo's (2002) standard error, whose n is here n - 1.

    >>> day = 1.5 / math.sqrt(252)
    >>> math.ceil(shortest_record(day)), math.ceil(shortest_record(day, confidence=0.975))
    (306, 434)
    """
    if ratio <= benchmark:
        return math.inf
    z = float(inverse_normal(confidence))
    return 1.0 + _variance(ratio, skew, kurtosis) * (z / (ratio - benchmark)) ** 2
