"""Tests that may be looked at every day: a confidence sequence for a mean, and the verdict it allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import MonitorInputError

F8 = NDArray[np.float64]
Verdict = Literal["above", "below", "open"]
FEWEST = 30
"""Days before which nothing is said: the variance is not known yet."""
PLANNED = 60
"""Days at which the sequence is tightest."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """mean of `n` days, its interval [low, high] that holds at all n at once, and what it says of 0."""

    n: int
    mean: float
    low: float
    high: float
    verdict: Verdict


def mixture_width(n: int, alpha: float, planned: int = PLANNED) -> float:
    """Half width in deviations of one day, of the normal mixture (Robbins 1970) that is tightest about `planned` days.

    The mixture SPRT (Johari, Koomen, Pekelis, Walsh 2022) is its dual. rho by Waudby-Smith, Arbour, Sinha, Kennedy and
    Ramdas (2024), whose asymptotic sequence also covers an estimated variance.
    """
    rho2 = (-2.0 * math.log(alpha) + math.log(-2.0 * math.log(alpha)) + 1.0) / planned
    inner = n * rho2 + 1.0
    return math.sqrt(2.0 * inner / (n * n * rho2) * math.log(math.sqrt(inner) / alpha))


def mean_sequence(daily: F8, *, alpha: float = 0.05, planned: int = PLANNED) -> Sequence:
    """The mean of independent days (n,), two-sided, at most alpha wrong over all looks from day 30 on.

    A day is the unit: trades and rows of a day share their market, so their number proves little. A verdict is kept:
    it is `above` or `below` from the first day at which the sequence left 0. Raises MonitorInputError for NaN.
    """
    x = np.asarray(daily, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise MonitorInputError(f"a sequence of days has shape {x.shape} or values that are not finite")
    n = len(x)
    if n == 0:
        return Sequence(0, 0.0, -math.inf, math.inf, "open")
    verdict: Verdict = "open"
    counts = np.arange(1, n + 1)
    means = np.cumsum(x) / counts
    squares = np.maximum(np.cumsum(x * x) / counts - means * means, 0.0)
    low = high = 0.0
    for k in range(n):
        seen = k + 1
        if seen < FEWEST:
            low, high = -math.inf, math.inf
            continue
        half = mixture_width(seen, alpha, planned) * math.sqrt(float(squares[k]) * seen / (seen - 1))
        low, high = float(means[k]) - half, float(means[k]) + half
        if verdict == "open" and half > 0.0:
            verdict = "above" if low > 0.0 else "below" if high < 0.0 else "open"
    return Sequence(n, float(means[-1]), low, high, verdict)
