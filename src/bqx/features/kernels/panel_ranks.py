"""A row of a panel against itself: ranks, median and spread across lanes, and how ranks keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, batches, kernel
from bqx.features.kernels.moments import TINY

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

RANK, SCORE, GAP, SPREAD, TOP, BOTTOM = range(6)
MEASURES = 6
FEW = 3
NORMAL = 1.4826
"""A normal variable's standard deviation over its median absolute deviation."""


@kernel
def _insert(values: F8, count: int, v: float) -> None:
    """v into the sorted first `count` entries."""
    k = count
    while k > 0 and values[k - 1] > v:
        values[k] = values[k - 1]
        k -= 1
    values[k] = v


@kernel
def _middle(values: F8, count: int) -> float:
    """Median of sorted entries."""
    half = count // 2
    middle: float = values[half] if count % 2 else 0.5 * (values[half - 1] + values[half])
    return middle


@kernel
def panel_row(x: F8, ranked: F4, row: int, least: int, values: F8, out: tuple[F8, F8, F8, F8, F8, F8], at: int) -> None:
    """Of row `row` of x into row `at`; see :func:`panel_measures`. values : room for a number a lane."""
    p = x.shape[1]
    count = 0
    for j in range(p):
        if x[row, j] == x[row, j]:
            _insert(values, count, x[row, j])
            count += 1
    median = _middle(values, count) if count >= least else np.nan
    below = 0
    for j in range(p):
        if x[row, j] == x[row, j]:
            _insert(values, below, abs(x[row, j] - median))
            below += 1
    spread = NORMAL * _middle(values, count) if count >= least else np.nan
    for j in range(p):
        v, place = x[row, j], ranked[row, j]
        less, equal = 0, 0
        for k in range(p):
            less += 1 if ranked[row, k] < place else 0
            equal += 1 if ranked[row, k] == place else 0
        ok = (v == v) & (count >= least)
        gap = v - median
        out[RANK][at, j] = (less + 0.5 * equal) / count if ok else np.nan
        out[SCORE][at, j] = gap / spread if ok & (spread > TINY) else np.nan
        out[GAP][at, j] = gap if ok else np.nan
        out[SPREAD][at, j] = spread
        out[TOP][at, j] = (1.0 if count - less - equal < FEW else 0.0) if ok else np.nan
        out[BOTTOM][at, j] = (1.0 if less < FEW else 0.0) if ok else np.nan


@batches(MEASURES)
def panel_measures(out: tuple[F8, F8, F8, F8, F8, F8], x: F8, ranked: F4, least: int) -> None:
    """Of each row, over the lanes with a value, of which there must be `least`: the mid-rank in (0, 1), (rank - 1/2) /
    number; the distance from the median over the spread; that distance; the spread, 1.4826 times the median absolute
    deviation, in all lanes; whether fewer than 3 are higher; whether fewer than 3 are lower. ranked : x, in which what
    is equal but for rounding is equal. Shapes (n, lanes)."""
    values = np.empty(x.shape[1])
    for r in range(len(x)):
        panel_row(x, ranked, r, least, values, out, r)


@kernel
def agreement_row(x: F4, now: int, before: int, inside: bool, least: int) -> float:
    """Spearman's correlation across lanes of rows `now` and `before`, over the lanes with a value in both; see
    :func:`rank_agreement`."""
    p = x.shape[1]
    count = 0
    for j in range(p):
        if x[now, j] == x[now, j] and x[before, j] == x[before, j] and inside:
            count += 1
    if count < least:
        return np.nan
    a, b, both = 0.0, 0.0, 0.0
    for j in range(p):
        u, v = x[now, j], x[before, j]
        if u == u and v == v:
            first, second = 0, 0
            for k in range(p):
                w, z = x[now, k], x[before, k]
                common = (w == w) & (z == z)
                first += ((1 if w < u else 0) - (1 if w > u else 0)) if common else 0
                second += ((1 if z < v else 0) - (1 if z > v else 0)) if common else 0
            # twice the distance of the mid-rank from the mean rank: whole numbers, their sums are exact
            a += float(first) * first
            b += float(second) * second
            both += float(first) * second
    return both / np.sqrt(a * b) if a > 0.0 and b > 0.0 else np.nan


def rank_agreement(x: F4, seg_age: I4, lag: int, least: int) -> F8:
    """Spearman's rank correlation, mid-ranks on ties, of row t and row t - lag of the segment across the lanes with a
    value in both, of which there must be `least`; NaN where all of either are equal. Shape (n,)."""
    out = np.empty(len(x))
    _rank_agreement(x, seg_age, lag, least, out)
    return out


@kernel
def _rank_agreement(x: F4, seg_age: I4, lag: int, least: int, out: F8) -> None:
    for r in range(len(x)):
        inside = seg_age[r] >= lag
        out[r] = agreement_row(x, r, r - lag if inside else r, inside, least)


@batch
def breadth(out: F8, x: F8, weight: F8, least: int) -> None:
    """Absolute mean sign of x weight over the lanes that have both, of which there must be `least`; the same in all
    lanes. weight : rows of x. Shapes (n, lanes)."""
    n, p = x.shape
    for r in range(n):
        balance, count = 0, 0
        for j in range(p):
            v = x[r, j] * weight[r, j]
            balance += (1 if v > 0.0 else 0) - (1 if v < 0.0 else 0)
            count += 1 if v == v else 0
        value = abs(balance) / count if count >= least else np.nan
        for j in range(p):
            out[r, j] = value
