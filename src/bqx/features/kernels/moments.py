"""Mean, spread and shape of windows inside a segment, from shifted compensated sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.sums import (
    COUNT,
    E1,
    E2,
    E3,
    E4,
    POWER_ROWS,
    RESTART,
    S1,
    S2,
    S3,
    S4,
    SHIFT,
    STATE_ROWS,
    equal_run_step,
    first_moment,
    powers_step,
    recentre,
    sums_step,
)

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

SHAPE3, SHAPE4, SHAPE_ROWS = POWER_ROWS, POWER_ROWS + 1, POWER_ROWS + 2
"""Where a state of SHAPE_ROWS rows holds moment skewness and excess kurtosis between two loops."""

NEAR = 4.0
"""Squared distance, in variances, that a mean may have from the shift of third and fourth powers."""
FAR = 1e4
"""The same for second powers of levels: at most 12 digits are lost of 16, on levels that carry that noise anyway."""
TINY = 1e-9
"""A deviation of at most this (bps) is rounding noise of equal mid prices, which ticks exceed by six digits: ratios to
it are NULL."""


@kernel
def _clear(seg_age: int, state: F8, run: F8, last: F8) -> None:
    """A segment begins: nothing before it counts."""
    if seg_age == 0:
        for k in range(len(state)):
            for j in range(state.shape[1]):
                state[k, j] = 0.0
        for j in range(len(run)):
            run[j], last[j] = 0.0, np.nan


@kernel
def centre_step(
    x: F8,
    r: int,
    seg_age: int,
    window: int,
    need: int,
    ddof: int,
    state: F8,
    run: F8,
    last: F8,
    out: tuple[F8, F8, F8],
    row: int,
) -> None:
    """Take bar r in; emit shift, excess (mean = shift + excess) and deviation into row `row`.

    A flat window, found by its run of equal values, has its value as shift, excess 0 and deviation 0.
    """
    shift, excess, deviation = out
    _clear(seg_age, state, run, last)
    equal_run_step(x, r % len(x), run, last)
    sums_step(x, r, window, r - seg_age, seg_age % RESTART == 0, state)
    recentre(x, max(r - window + 1, r - seg_age), r, state, FAR)
    enough = float(need) if seg_age >= window - 1 else np.inf
    for j in range(x.shape[1]):
        n = state[COUNT, j]
        m = last[j] if run[j] >= n else state[SHIFT, j]
        shift[row, j] = m if n >= enough else np.nan
    for j in range(x.shape[1]):
        n = state[COUNT, j]
        e = 0.0 if run[j] >= n else first_moment(state, j)
        excess[row, j] = e if n >= enough else np.nan
    for j in range(x.shape[1]):
        n = state[COUNT, j]
        e = first_moment(state, j)
        v = (state[S2, j] + state[E2, j]) - e * e * n
        v = v if v > 0.0 else 0.0
        d = 0.0 if run[j] >= n else np.sqrt(v / (n - ddof))
        deviation[row, j] = d if n >= enough else np.nan


def centre(x: F8, seg_age: I4, window: int, need: int, ddof: int) -> tuple[F8, F8, F8]:
    """shift, excess and deviation (ddof 0 or 1) of the last `window` rows of the segment; NaN below `need` valid
    values. Shapes (n, pairs)."""
    out = (np.empty(x.shape), np.empty(x.shape), np.empty(x.shape))
    _centre(x, seg_age, window, need, ddof, out)
    return out


@kernel
def _centre(x: F8, seg_age: I4, window: int, need: int, ddof: int, out: tuple[F8, F8, F8]) -> None:
    n, p = x.shape
    state, run, last = np.zeros((STATE_ROWS, p)), np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        centre_step(x, r, seg_age[r], window, need, ddof, state, run, last, out, r)


@kernel
def shape_step(
    x: F8,
    r: int,
    seg_age: int,
    window: int,
    need: int,
    state: F8,
    run: F8,
    last: F8,
    out: tuple[F8, F8, F8, F8, F8],
    row: int,
) -> None:
    """Take bar r in; emit mean, sample deviation, G1, G2 (Joanes & Gill 1998) and the Jarque-Bera statistic.

    An output of no rows is not wanted. Of a flat window only mean and deviation exist.
    """
    mean, deviation, skew, kurt, bera = out
    _clear(seg_age, state, run, last)
    equal_run_step(x, r % len(x), run, last)
    powers_step(x, r, window, r - seg_age, seg_age % RESTART == 0, state, NEAR)
    enough = float(need) if seg_age >= window - 1 else np.inf
    for j in range(x.shape[1]):
        n = state[COUNT, j]
        e = first_moment(state, j)
        m = last[j] if run[j] >= n else state[SHIFT, j] + e
        mean[row, j] = m if n >= enough else np.nan
    for j in range(x.shape[1]):
        n = state[COUNT, j]
        e = first_moment(state, j)
        v = (state[S2, j] + state[E2, j]) - e * e * n
        v = v if v > 0.0 else 0.0
        d = 0.0 if run[j] >= n else np.sqrt(v / (n - 1.0))
        deviation[row, j] = d if n >= enough else np.nan
    if len(skew) == 0:
        return
    for j in range(x.shape[1]):
        each = 1.0 / state[COUNT, j]
        e = (state[S1, j] + state[E1, j]) * each
        q2, q3 = (state[S2, j] + state[E2, j]) * each, (state[S3, j] + state[E3, j]) * each
        q4 = (state[S4, j] + state[E4, j]) * each
        square = e * e
        m2 = q2 - square
        m3 = (q3 - 3.0 * e * q2) + 2.0 * e * square
        m4 = ((q4 - 4.0 * e * q3) + 6.0 * square * q2) - 3.0 * square * square
        m2 = m2 if m2 > TINY * TINY and run[j] < state[COUNT, j] else np.nan
        state[SHAPE3, j] = m3 / (m2 * np.sqrt(m2))
        state[SHAPE4, j] = m4 / (m2 * m2) - 3.0
    for j in range(x.shape[1]):
        n = state[COUNT, j]
        g = state[SHAPE3, j] * (np.sqrt(n * (n - 1.0)) / (n - 2.0))
        skew[row, j] = g if n >= enough else np.nan
    for j in range(x.shape[1]):
        n = state[COUNT, j]
        g = ((n + 1.0) * state[SHAPE4, j] + 6.0) * ((n - 1.0) / ((n - 2.0) * (n - 3.0)))
        kurt[row, j] = g if n >= enough else np.nan
    if len(bera) == 0:
        return
    for j in range(x.shape[1]):
        n, third, fourth = state[COUNT, j], state[SHAPE3, j], state[SHAPE4, j]
        g = n / 6.0 * (third * third + 0.25 * fourth * fourth)
        bera[row, j] = g if n >= enough else np.nan


def shape(x: F8, seg_age: I4, window: int, need: int, higher: bool, test: bool) -> tuple[F8, F8, F8, F8, F8]:
    """mean, deviation, G1, G2 and Jarque-Bera of the last `window` rows of the segment. Shapes (n, pairs), or (0, 0)
    for the last three without `higher`, for the last without `test`."""
    third, fifth = x.shape if higher else (0, 0), x.shape if test else (0, 0)
    out = (np.empty(x.shape), np.empty(x.shape), np.empty(third), np.empty(third), np.empty(fifth))
    _shape(x, seg_age, window, need, out)
    return out


@kernel
def _shape(x: F8, seg_age: I4, window: int, need: int, out: tuple[F8, F8, F8, F8, F8]) -> None:
    n, p = x.shape
    state, run, last = np.zeros((SHAPE_ROWS, p)), np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        shape_step(x, r, seg_age[r], window, need, state, run, last, out, r)


def standard(x: F8, shift: F8, excess: F8, deviation: F8) -> F8:
    """(x - mean) / deviation, NaN where the deviation is nothing beside x - mean. Shape (n, pairs)."""
    out = np.empty(x.shape)
    _standard(x, shift, excess, deviation, out)
    return out


@kernel
def _standard(x: F8, shift: F8, excess: F8, deviation: F8, out: F8) -> None:
    n, p = x.shape
    for r in range(n):
        for j in range(p):
            a, b = (x[r, j] - shift[r, j]) - excess[r, j], deviation[r, j]
            out[r, j] = a / b if b > TINY * max(1.0, abs(a)) else np.nan


def over(a: F8, b: F8) -> F8:
    """a / b for b >= 0, NaN where b is nothing beside a. Shape (n, pairs)."""
    out = np.empty(a.shape)
    _over(a, b, out)
    return out


@kernel
def _over(a: F8, b: F8, out: F8) -> None:
    n, p = a.shape
    for r in range(n):
        for j in range(p):
            out[r, j] = a[r, j] / b[r, j] if b[r, j] > TINY * max(1.0, abs(a[r, j])) else np.nan
