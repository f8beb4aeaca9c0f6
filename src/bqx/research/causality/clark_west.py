"""Do forecasts that know the source beat those that do not, on rows neither has seen."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CausalityError
from bqx.research.causality.distributions import normal_tail
from bqx.research.causality.hac import bandwidth, long_run

F8 = NDArray[np.float64]
FEWEST = 50


def clark_west(y: F8, small: F8, large: F8, lags: int = 0) -> tuple[float, float]:
    """Statistic and one-sided p of nested forecasts of y (n,): `large` knows more than `small`.

    Clark and West (2007): the larger model's noise is taken off its loss, f = (y - s)^2 - (y - l)^2 + (s - l)^2; mean
    over its HAC error, the window being `lags` rows or the usual one, whichever is longer. (0, 1) when the forecasts
    are the same; CausalityError below 50 rows.
    """
    return adjusted_gain((y - small) ** 2 - (y - large) ** 2 + (small - large) ** 2, lags)


def adjusted_gain(f: F8, lags: int = 0) -> tuple[float, float]:
    """Statistic and p of a mean above 0 of f (n,), the f above or its sums over pairs and a few bars, in order."""
    if len(f) < FEWEST:
        raise CausalityError(f"out-of-sample gain of {len(f)} forecasts asked, {FEWEST} are the least")
    spread = float(long_run((f - f.mean())[:, None], max(bandwidth(len(f)), lags))[0, 0])
    if not spread > 0:
        return 0.0, 1.0
    z = float(f.sum()) / math.sqrt(spread)
    return z, normal_tail(z)
