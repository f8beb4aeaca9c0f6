"""p-values beyond the last surrogate: a generalised Pareto distribution fitted to the largest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CausalityError

F8 = NDArray[np.float64]
SHARE, FEWEST = 0.25, 30


def pareto(excess: F8) -> tuple[float, float]:
    """Shape and scale by probability-weighted moments (Hosking and Wallis 1987); excesses (n,) over a threshold.

    The shape is not let below 0: a distribution that ends would give p = 0 beyond its end.
    """
    x = np.sort(excess)
    n = len(x)
    b0 = float(x.mean())
    b1 = float((x * (1.0 - (np.arange(1, n + 1) - 0.35) / n)).mean())
    if not b0 > 2.0 * b1 > 0.0:
        return 0.0, b0
    shape = 2.0 - b0 / (b0 - 2.0 * b1)
    return (shape, 2.0 * b0 * b1 / (b0 - 2.0 * b1)) if shape > 0 else (0.0, b0)


def tail_p(value: float, surrogates: F8) -> float:
    """P(surrogate >= value) from the largest quarter of the surrogates (Knijnenburg et al. 2009), never below 1e-12.

    Excesses are taken between squares of the distance from the mean: there a normal tail is exponential, shape 0, which
    is the least heavy one that is let pass. On the values themselves the same limit would cost 4.6 deviations a
    factor of 500. A value below the mean has p = 1. CausalityError below 120 surrogates: 30 excesses
    are needed.
    """
    middle = float(surrogates.mean())
    if value <= middle:
        return 1.0
    ordered = np.sort(np.maximum(surrogates - middle, 0.0) ** 2)[::-1]
    count = int(SHARE * len(ordered))
    if count < FEWEST:
        raise CausalityError(f"a tail of {count} surrogates cannot be fitted, {FEWEST} are the least")
    threshold = 0.5 * (ordered[count - 1] + ordered[count])
    shape, scale = pareto(ordered[:count] - threshold)
    z = max((value - middle) ** 2 - threshold, 0.0)
    if not scale > 0:
        return 1.0 / (1.0 + len(ordered))
    beyond = -z / scale if shape == 0 else -math.log1p(shape * z / scale) / shape
    return float(max(count / len(ordered) * math.exp(beyond), 1e-12))
