"""Are signs forecast, and often enough to pay for the trade? Pesaran and Timmermann (1992, 2009); break-even rate."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.research.causality.distributions import normal_tail
from bqx.research.causality.hac import long_run

F8 = NDArray[np.float64]
FEWEST = 50


@dataclass(frozen=True, slots=True)
class Signs:
    """hit_rate : share of right signs of `n` rows where both have one; `expected` if they were independent.

    statistic, p : Pesaran and Timmermann (1992), one-sided, for independent rows. hac, hac_p : the same question with
    errors robust to overlap. NaN statistics and p = 1 when one of the two has a single sign.
    """

    hit_rate: float
    expected: float
    statistic: float
    p: float
    hac: float
    hac_p: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        """JSON form; None for a statistic that has no error to be measured by."""
        return {k: v if math.isfinite(v) else None for k, v in asdict(self).items()}


def pesaran_timmermann(y: F8, f: F8, lags: int) -> Signs:
    """Test that the signs of forecasts f (n,) tell nothing of those of y (n,); rows without a sign are left out.

    The robust version is the t ratio of the slope of 1{y > 0} on 1{f > 0} with a Newey-West error over `lags` rows:
    the static regression of Pesaran and Timmermann (2009). EvaluationError below 50 rows with signs.
    """
    signed = (y != 0.0) & (f != 0.0) & np.isfinite(y) & np.isfinite(f)
    up, said = (y[signed] > 0).astype(np.float64), (f[signed] > 0).astype(np.float64)
    n = len(up)
    if n < FEWEST:
        raise EvaluationError(f"{n} forecasts with a sign, {FEWEST} are the least")
    py, pf = float(up.mean()), float(said.mean())
    hit = float((up == said).mean())
    expected = py * pf + (1.0 - py) * (1.0 - pf)
    spread = 4.0 * py * pf * (1.0 - py) * (1.0 - pf) * (n - 1) / (n * n)
    if not spread > 0.0:
        return Signs(hit, expected, math.nan, 1.0, math.nan, 1.0, n)
    z = (hit - expected) / math.sqrt(spread)
    x = said - pf
    slope = float(x @ (up - py)) / float(x @ x)
    scores = x * (up - py - slope * x)
    error = math.sqrt(float(long_run(scores[:, None], lags)[0, 0])) / float(x @ x)
    t = slope / error if error > 0.0 else math.inf
    return Signs(hit, expected, z, normal_tail(z), t, normal_tail(t), n)


def break_even(cost: float, size: float) -> float:
    """Hit rate at which moves of mean size E|r| pay a round trip, both in bps: 1/2 + c / (2 E|r|).

    >>> round(break_even(1.0, 6.4), 3)
    0.578
    """
    if not (size > 0.0 and cost >= 0.0):
        raise EvaluationError(f"no break-even rate for a cost of {cost} bps and moves of {size} bps")
    return 0.5 + cost / (2.0 * size)
