"""A one-sided CUSUM of a daily series whose limit is set by block bootstrap of the reference days."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import MonitorInputError
from bqx.research.bootstrap import block_length, stationary_indices

F8 = NDArray[np.float64]
FEWEST = 40
"""Trade days of reference; fewer say too little of the mean, and the limit would grow beyond use."""
SLACK = 0.5
"""Deviations a day that count as no change: tuned to rises of one deviation (Page 1954)."""
REFERENCES = 100
SURE = 0.95
"""Share of references like this one whose limit keeps the run length."""


@dataclass(frozen=True, slots=True)
class Limit:
    """mean, deviation of the reference days; h : the sum of standardised days that raises the alarm. run_length : mean
    days to a false alarm of the resamples at h, where paths end after four times the one asked for."""

    mean: float
    deviation: float
    h: float
    run_length: float


def cusum(daily: F8, mean: float, deviation: float, slack: float = SLACK) -> F8:
    """S(t) = max(0, S(t-1) + (x(t) - mean) / deviation - slack), shape as `daily` (..., days)."""
    z = (np.asarray(daily, dtype=np.float64) - mean) / deviation - slack
    out = np.empty_like(z)
    s = np.zeros(z.shape[:-1])
    for t in range(z.shape[-1]):
        s = np.maximum(0.0, s + z[..., t])
        out[..., t] = s
    return out


def calibrate(reference: F8, *, arl: float = 90.0, draws: int = 200, seed: int = 0) -> Limit:
    """A limit at which a false alarm comes every `arl` days or more on average, nominally 95 % sure.

    reference : (days,) without known faults. Its mean and deviation are estimates: a limit that forgets it has run
    lengths of 20 days instead of 90 for one reference and of years for the next. As in Gandy and Kvaloy (2013) every
    resample of the reference asks for a limit of its own, and the 95 % quantile of them is taken. Resamples are those
    of Politis and Romano (1994), of 100 references and `draws` paths. Raises MonitorInputError for fewer than 40 days,
    NaN, or a constant.
    """
    x = np.asarray(reference, dtype=np.float64)
    if x.ndim != 1 or len(x) < FEWEST or not np.isfinite(x).all():
        raise MonitorInputError(
            f"a reference of {len(x)} days, {FEWEST} finite ones are the least", fix="wait, or take an earlier start"
        )
    mean, deviation = float(x.mean()), float(x.std(ddof=1))
    if deviation <= 0.0:
        raise MonitorInputError("the reference is constant, so no change can be judged")
    n = len(x)
    block = max(2.0 * block_length(x), math.sqrt(n))  # short blocks lose the runs that a CUSUM adds up
    longest = math.ceil(4 * arl)
    pieces = -(-longest // n)
    draw = iter(range(draws * pieces + REFERENCES))
    paths = np.stack([
        np.concatenate([x[stationary_indices(n, block, seed, next(draw))] for _ in range(pieces)])[:longest]
        for _ in range(draws)
    ])  # fmt: skip
    asked = []
    for _ in range(REFERENCES):
        known = x[stationary_indices(n, block, seed, next(draw))]
        spread = float(known.std(ddof=1))
        if spread > 0.0:
            asked.append(_limit(cusum(paths, float(known.mean()), spread), arl))
    h = float(np.quantile(asked, SURE))
    peaks = np.maximum.accumulate(cusum(paths, mean, deviation), axis=1)
    return Limit(mean, deviation, h, _run_length(peaks, h))


def _limit(sums: F8, arl: float) -> float:
    """The least limit of paths (draws, days) with that run length."""
    peaks = np.maximum.accumulate(sums, axis=1)
    low, high = 0.0, float(peaks.max()) + 1e-6
    for _ in range(24):
        h = 0.5 * (low + high)
        low, high = (h, high) if _run_length(peaks, h) < arl else (low, h)
    return high


def _run_length(peaks: F8, h: float) -> float:
    """Mean days until the peak reaches h; paths that never do count their whole length."""
    return float((peaks < h).sum(axis=1).mean()) + 1.0 if h > 0 else 1.0


def first_alarm(daily: F8, limit: Limit) -> int | None:
    """Index of the first day at which the sum reaches the limit, None when none does."""
    if not len(daily):
        return None
    above = np.flatnonzero(cusum(daily, limit.mean, limit.deviation) >= limit.h)
    return int(above[0]) if len(above) else None
