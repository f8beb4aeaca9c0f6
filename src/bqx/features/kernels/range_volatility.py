"""Volatility from the range of bars inside a segment: four estimators that share their sums.

Parkinson 1980, Garman & Klass 1980, Rogers & Satchell 1991, Yang & Zhang 2000; bars are additive (log prices).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.sums import RESTART
from bqx.features.kernels.totals import COUNT, ERROR, SMALL, TOTAL, TOTAL_ROWS, mean, totals_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

RANGE_WEIGHT = 0.36067376022224085
"""1 / (4 ln 2)."""
BODY_WEIGHT = 0.38629436111989063
"""2 ln 2 - 1."""

RANGE, TURNS, BODY_1, BODY_2, OPEN_1, OPEN_2 = range(6)
RANGE_TERMS = 6
"""Series: (h - l)^2; (h - c)(h - o) + (l - c)(l - o); c - o and its square; o less the close before and its
square."""

PARKINSON, GARMAN_KLASS, ROGERS_SATCHELL, YANG_ZHANG = range(4)
RANGE_MEASURES = 4
"""Outputs of :func:`range_measures`."""


@kernel
def range_terms_row(
    bars: tuple[F8, F8, F8, F8], fill_run: I4, r: int, seg_age: int, terms: F8, row: int
) -> None:  # fmt: skip
    """Terms of bar r, from rings of at least 2 rows (open, high, low, close), into row `row` of `terms` (rows,
    RANGE_TERMS, pairs); NaN unless the bar was quoted (fill_run 0), for the step to its open also the bar before."""
    open_, high, low, close = bars
    cap, p = close.shape
    now, before = r % cap, (r - 1) % cap
    for j in range(p):
        o, c = open_[now, j], close[now, j]
        up, down = high[now, j], low[now, j]
        fresh = fill_run[now, j] == 0
        width, body = up - down, c - o
        terms[row, RANGE, j] = width * width if fresh else np.nan
        terms[row, TURNS, j] = (up - c) * (up - o) + (down - c) * (down - o) if fresh else np.nan
        terms[row, BODY_1, j] = body if fresh else np.nan
        terms[row, BODY_2, j] = body * body if fresh else np.nan
    for j in range(p):
        step = open_[now, j] - close[before, j]
        fresh = (fill_run[now, j] == 0) & (fill_run[before, j] == 0) & (seg_age >= 1)
        terms[row, OPEN_1, j] = step if fresh else np.nan
        terms[row, OPEN_2, j] = step * step if fresh else np.nan


def range_terms(bars: tuple[F8, F8, F8, F8], fill_run: I4, seg_age: I4) -> F8:
    """:func:`range_terms_row` of all bars; arrays (n, pairs). Shape (n, RANGE_TERMS, pairs)."""
    n, p = fill_run.shape
    out = np.empty((n, RANGE_TERMS, p))
    _range_terms(bars, fill_run, seg_age, out)
    return out


@kernel
def _range_terms(bars: tuple[F8, F8, F8, F8], fill_run: I4, seg_age: I4, out: F8) -> None:
    for r in range(len(fill_run)):
        range_terms_row(bars, fill_run, r, seg_age[r], out, r)


@kernel
def _root(v: float) -> float:
    """Of a variance, 0 where it is nothing."""
    root: float = np.sqrt(v if v > SMALL else 0.0)
    return root


@kernel
def _variance(state: F8, first: int, second: int, counted: int, j: int) -> float:
    """Sample variance of the series `first`, whose squares are the series `second`; at least 0."""
    n = state[COUNT, counted, j]
    s = state[TOTAL, first, j] + state[ERROR, first, j]
    v: float = ((state[TOTAL, second, j] + state[ERROR, second, j]) - s * s / n) / (n - 1.0)
    return v if v > 0.0 else 0.0


@kernel
def range_step(
    terms: F8, r: int, seg_age: int, window: int, need: int, state: F8, out: tuple[F8, ...], row: int
) -> None:  # fmt: skip
    """Take bar r of the ring `terms` in; emit the measures of the last `window` bars into row `row`; an output without
    rows is not wanted. state : (TOTAL_ROWS, RANGE_TERMS, pairs)."""
    parkinson, garman, rogers, yang = out
    p = terms.shape[2]
    floor, restart = r - seg_age, seg_age % RESTART == 0
    totals_step(terms, r, window, floor, restart, state, RANGE, OPEN_1)
    if len(yang):
        totals_step(terms, r, window, floor, restart, state, OPEN_1, RANGE_TERMS)
    enough = float(need) if seg_age >= window - 1 else np.inf
    if len(parkinson):
        for j in range(p):
            v = _root(RANGE_WEIGHT * mean(state, RANGE, RANGE, j))
            parkinson[row, j] = v if state[COUNT, RANGE, j] >= enough else np.nan
    if len(garman):
        for j in range(p):
            v = _root(0.5 * mean(state, RANGE, RANGE, j) - BODY_WEIGHT * mean(state, BODY_2, RANGE, j))
            garman[row, j] = v if state[COUNT, RANGE, j] >= enough else np.nan
    if len(rogers):
        for j in range(p):
            v = _root(mean(state, TURNS, RANGE, j))
            rogers[row, j] = v if state[COUNT, RANGE, j] >= enough else np.nan
    if len(yang):
        n = float(window)
        k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
        for j in range(p):
            step = _variance(state, OPEN_1, OPEN_2, OPEN_1, j)
            body = _variance(state, BODY_1, BODY_2, RANGE, j)
            turns = mean(state, TURNS, RANGE, j)
            v = _root((step + k * body) + (1.0 - k) * (turns if turns > 0.0 else 0.0))
            ok = (state[COUNT, RANGE, j] >= enough) & (state[COUNT, OPEN_1, j] >= enough)
            yang[row, j] = v if ok else np.nan


def range_measures(terms: F8, seg_age: I4, window: int, need: int, wanted: frozenset[int]) -> tuple[F8, ...]:
    """The four estimators over the last `window` bars of the segment, bps per square root of a minute, RANGE_MEASURES
    arrays (n, pairs), those not `wanted` (0, pairs); NaN below `need` quoted bars. Means are over the quoted bars."""
    n, _, p = terms.shape
    out = tuple(np.empty((n if k in wanted else 0, p)) for k in range(RANGE_MEASURES))
    _range_measures(terms, seg_age, window, need, out)
    return out


@kernel
def _range_measures(terms: F8, seg_age: I4, window: int, need: int, out: tuple[F8, ...]) -> None:
    state = np.zeros((TOTAL_ROWS, RANGE_TERMS, terms.shape[2]))
    for r in range(len(terms)):
        range_step(terms, r, seg_age[r], window, need, state, out, r)
