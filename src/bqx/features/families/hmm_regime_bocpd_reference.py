"""BOCPD columns the slow way: whole trajectories of one pair, kept as long as their streams.

Runs are kept by their sums of values and squares, not by recursion, and masses as they are. Compiled, since a
trajectory has ten thousand bars and hundreds of runs, but written as it would be told.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.hmm_regime_cusum_reference import before_reference, once_reference, segment_reference
from bqx.features.kernels.jit import kernel
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]

HEAD_START, NEED, LONGEST = 2400, 2000, 2000
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


@cache
def halves_reference() -> F8:
    """ln of Gamma(a + 1/2) / Gamma(a), a = 2 + n / 2."""
    return np.array([math.lgamma(2.5 + 0.5 * n) - math.lgamma(2.0 + 0.5 * n) for n in range(LONGEST + 1)])


@kernel
def thin_reference(runs: F8, used: int, taken: int) -> int:
    """What is left, packed to the front, once as many values were taken in as a multiple of eight; how many."""
    kept, s = 0, 0
    while s < used:
        octet = runs[BIRTH, s] // 8
        stop = s
        while stop < used and runs[BIRTH, stop] // 8 == octet:
            stop += 1
        eldest = taken - 8 * octet
        if eldest <= LONGEST - 8:
            if eldest - 7 > 64 and stop - s > 1:
                both = runs[MASS, s:stop] + runs[MASS + 1, s:stop]
                heaviest = s + np.argmax(both)
                a, b = np.sum(runs[MASS, s:stop]), np.sum(runs[MASS + 1, s:stop])
                runs[:, s] = runs[:, heaviest]
                runs[SHARE, s] = np.max(both) / np.sum(both)
                runs[MASS, s], runs[MASS + 1, s] = a, b
                if max(a, b) >= 1e-6:
                    runs[:, kept] = runs[:, s]
                    kept += 1
            else:
                for k in range(s, stop):
                    if max(runs[MASS, k], runs[MASS + 1, k]) >= 1e-6:
                        runs[:, kept] = runs[:, k]
                        kept += 1
        s = stop
    return kept


@kernel
def trajectory_reference(x: F8, variance: F8, start: int, begin: int, need: int, halves: F8, out: F8) -> None:
    """The five quantities under each hazard at rows from `start` on, into out (2, 5, rows from start), by a trajectory
    that begins at row `begin`."""
    runs = np.zeros((FIELDS, 400))
    runs[SHARE, 0], runs[MASS, 0], runs[MASS + 1, 0] = 1.0, 1.0, 1.0
    used, taken = 1, 0
    for k in range(begin, len(x)):
        if np.isnan(x[k]) or not variance[k] > 1e-12:
            continue
        if taken % 8 == 0:
            used = thin_reference(runs, used, taken)
        runs[PRIOR, used - 1] = variance[k]
        for s in range(used):
            n = taken - runs[BIRTH, s]
            mean = runs[SUM, s] / (1.0 + n)
            beta = runs[PRIOR, s] + 0.5 * (runs[SQUARES, s] - runs[SUM, s] * mean)
            scale = 2.0 * beta * (n + 2.0) / (n + 1.0)
            log_density = halves[int(n)] - 0.5 * np.log(np.pi * scale)
            log_density -= (2.5 + 0.5 * n) * np.log1p((x[k] - mean) ** 2 / scale)
            density = np.exp(log_density)
            runs[MASS, s] *= density
            runs[MASS + 1, s] *= density
            runs[SUM, s] += x[k]
            runs[SQUARES, s] += x[k] ** 2
        taken += 1
        runs[:, used] = 0.0
        runs[BIRTH, used], runs[SHARE, used] = taken, 1.0
        for h in range(2):
            mass = runs[MASS + h]
            mass[:used] *= (1.0 - HAZARDS[h]) / np.sum(mass[:used])
            mass[used] = HAZARDS[h]
        used += 1
        if k >= start and taken >= need:
            for h in range(2):
                quantities_reference(runs[:, :used], taken, variance[k], h, out[h, :, k - start])


@kernel
def quantities_reference(runs: F8, taken: int, variance: float, h: int, out: F8) -> None:
    n, p = taken - runs[BIRTH], runs[MASS + h]
    at = np.argmax(p * runs[SHARE])
    m = n[at]
    beta = runs[PRIOR, at] + 0.5 * (runs[SQUARES, at] - runs[SUM, at] ** 2 / (1.0 + m)) if m > 0 else variance
    out[0] = np.log(1.0 + m)
    out[1] = np.log(1.0 + np.sum(p * n))
    out[2] = np.sum(p[n <= 15])
    out[3] = -np.sum(p[p > 0.0] * np.log(p[p > 0.0])) / np.log(314.0)
    out[4] = np.log(beta * (m + 2.0) / ((1.0 + 0.5 * m) * (1.0 + m)) / variance)


def segment_values_reference(given: F8, start: int, stop: int) -> F8:
    """The five quantities under each hazard of a segment, shape (2, 5, stop - start)."""
    out = np.full((2, 5, stop - start), np.nan)
    begin = max(0, start - HEAD_START)
    trajectory_reference(given[0, :stop], given[1, :stop], start, begin, NEED, halves_reference(), out)
    return out


def bocpd_reference(streams: Streams, quantity: int, hazard: float, domain: Domain, row: int, pair: int) -> float:
    """One value of a BOCPD column."""
    start, stop = segment_reference(streams, row)
    given = once_reference(streams, ("bocpd", domain, pair), lambda: input_reference(streams, domain, pair))
    key = ("bocpd", domain, pair, start)
    found = once_reference(streams, key, lambda: segment_values_reference(given, start, stop))
    return float(found[HAZARDS.index(hazard), quantity, row - start])
