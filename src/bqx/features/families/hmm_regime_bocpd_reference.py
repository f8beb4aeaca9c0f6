"""BOCPD columns the slow way: whole trajectories of one pair, kept as long as their streams.

Runs are kept by their sums of values and squares, not by recursion; nothing is done in logarithms but the density.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.hmm_regime_cusum_reference import before_reference, once_reference, segment_reference
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]

HEAD_START, NEED = 2400, 2000
HAZARDS = (1.0 / 250.0, 1.0 / 1000.0)
FIELDS = 7
BIRTH, PRIOR, SUM, SQUARES, SHARE, MASS = range(6)
"""Fields of a run: number of its first value, beta before it, sum and sum of squares of its values, part of the mass
that is its own, mass under either hazard (two)."""


def usual_reference(change: F8, week: NDArray[np.int32], slot: NDArray[np.int32]) -> F8:
    """Sample deviation of the changes within two minutes of this minute of the week in the eight weeks before; NaN
    where fewer than four of them have three."""
    first = int(week[0]) - 8
    table = np.full((int(week[-1]) - first + 1, 7200 + 4), np.nan)
    table[week - first, slot + 2] = change
    near = np.stack(
        [np.stack([table[week - first - k, slot + 2 + o] for o in range(-2, 3)]) for k in range(1, 9)]
    )  # (weeks, minutes, rows)
    enough = ((~np.isnan(near)).sum(axis=1) >= 3).sum(axis=0) >= 4
    values = near.reshape(40, -1)
    n = (~np.isnan(values)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=0) / n
        deviation = np.sqrt(np.nansum((values - mean) ** 2, axis=0) / (n - 1))
    return np.where(enough & (deviation > 1e-9), deviation, np.nan)


def input_reference(streams: Streams, domain: Domain, pair: int) -> F8:
    """dy over its usual deviation and the variance of that in the day before, shape (2, n)."""
    change, grid = streams.stream(domain).change[:, pair], streams.panel.grid
    day = before_reference(change)[1]
    usual = usual_reference(change, grid.week, grid.minute_of_week)
    x = np.where(np.isnan(day), np.nan, change / np.where(np.isnan(usual), day, usual))
    return np.stack([x, before_reference(x)[1] ** 2])


_HALVES = np.array([math.lgamma(2.5 + 0.5 * n) - math.lgamma(2.0 + 0.5 * n) for n in range(2001)])


def thin_reference(runs: F8, taken: int) -> F8:
    """What is left of (FIELDS, runs) once as many values were taken in as a multiple of eight."""
    octets = runs[BIRTH] // 8
    kept: list[F8] = []
    for octet in dict.fromkeys(octets.tolist()):
        group = runs[:, octets == octet]
        eldest = taken - 8 * octet
        if eldest > 2000 - 8:
            continue
        if eldest - 7 > 64 and group.shape[1] > 1:
            both = group[MASS] + group[MASS + 1]
            one = group[:, [int(np.argmax(both))]].copy()
            one[MASS], one[MASS + 1] = group[MASS].sum(), group[MASS + 1].sum()
            one[SHARE] = both.max() / both.sum()
            group = one
        kept.append(group)
    out = np.concatenate(kept, axis=1)
    return out[:, np.maximum(out[MASS], out[MASS + 1]) >= 1e-6]


def trajectory_reference(x: F8, variance: F8, start: int, stop: int) -> F8:
    """The five quantities under each hazard at rows start .. stop - 1, shape (2, 5, stop - start)."""
    out = np.full((2, 5, stop - start), np.nan)
    runs = np.array([[0.0], [0.0], [0.0], [0.0], [1.0], [1.0], [1.0]])
    taken = 0
    hazards = np.array(HAZARDS)[:, None]
    for k in range(max(0, start - HEAD_START), stop):
        value, beta = float(x[k]), float(variance[k])
        if not (value == value and beta > 1e-12):
            continue
        if taken % 8 == 0 and taken:
            runs = thin_reference(runs, taken)
        runs[PRIOR, -1] = beta
        n = taken - runs[BIRTH]
        kappa, alpha, mean = 1.0 + n, 2.0 + 0.5 * n, runs[SUM] / (1.0 + n)
        scale = 2.0 * (runs[PRIOR] + 0.5 * (runs[SQUARES] - runs[SUM] * mean)) * (kappa + 1.0) / kappa
        density = np.exp(
            _HALVES[n.astype(int)] - 0.5 * np.log(np.pi * scale)
            - (alpha + 0.5) * np.log1p((value - mean) ** 2 / scale)
        )  # fmt: skip
        mass = runs[MASS:] * density
        runs[MASS:] = mass * ((1.0 - hazards) / mass.sum(axis=1, keepdims=True))
        runs[SUM] += value
        runs[SQUARES] += value * value
        taken += 1
        born = np.array([taken, beta, 0.0, 0.0, 1.0, *HAZARDS])
        runs = np.concatenate([runs, born[:, None]], axis=1)
        if k >= start and taken >= NEED:
            out[:, :, k - start] = _quantities_reference(runs, taken, beta)
    return out


def _quantities_reference(runs: F8, taken: int, variance: float) -> F8:
    """Shape (2, 5)."""
    n = taken - runs[BIRTH]
    p = runs[MASS:]
    at = np.argmax(p * runs[SHARE], axis=1)
    m = n[at]
    beta = runs[PRIOR, at] + 0.5 * (runs[SQUARES, at] - runs[SUM, at] ** 2 / (1.0 + m))
    predictive = beta * (m + 2.0) / ((1.0 + 0.5 * m) * (1.0 + m))
    logs = np.log(np.where(p > 0.0, p, 1.0))
    return np.stack(
        [
            np.log1p(m), np.log1p((p * n).sum(axis=1)), p[:, n <= 15].sum(axis=1),
            -(p * logs).sum(axis=1) / math.log(314.0), np.log(predictive / variance),
        ],
        axis=1,
    )  # fmt: skip


def bocpd_reference(streams: Streams, quantity: int, hazard: float, domain: Domain, row: int, pair: int) -> float:
    """One value of a BOCPD column."""
    start, stop = segment_reference(streams, row)
    given = once_reference(streams, ("bocpd", domain, pair), lambda: input_reference(streams, domain, pair))
    key = ("bocpd", domain, pair, start)
    found = once_reference(streams, key, lambda: trajectory_reference(given[0], given[1], start, stop))
    return float(found[HAZARDS.index(hazard), quantity, row - start])
