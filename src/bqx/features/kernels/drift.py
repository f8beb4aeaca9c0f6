"""How the last day compares with the days before, what share of minutes is missing, how long a quote has stood."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import divides
from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.sums import COUNT, RESTART, SHIFT, STATE_ROWS, first_moment, sums_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

BID, ASK, MINUTES = range(3)
HELD = 3
"""Rows of what a quote's age is told from: its sides, and minutes since they changed."""


@kernel
def mean_across_row(x: F8, r: int, seg_age: int, window: int, need: int, state: F8, out: F8, at: int) -> None:
    """Take bar r of the ring `x` in and write the mean of its window into out[at]; see :func:`mean_across`."""
    sums_step(x, r, window, 0, seg_age % RESTART == 0, state)
    for j in range(x.shape[1]):
        mean = state[SHIFT, j] + first_moment(state, j)
        out[at, j] = mean if state[COUNT, j] >= need else np.nan


@batch
def mean_across(out: F8, x: F8, seg_age: I4, window: int, need: int) -> None:
    """Mean of the last `window` open minutes, NaN below `need` valid values. Shape (n, pairs)."""
    state = np.zeros((STATE_ROWS, x.shape[1]))
    for r in range(len(x)):
        mean_across_row(x, r, seg_age[r], window, need, state, out, r)


@kernel
def drift_row(x: F8, r: int, spacing: int, count: int, scratch: F8, out: F8, at: int) -> None:
    """Row r of :func:`drift` from a ring of spacing x count + 1 rows into out[at]. scratch : (2, pairs)."""
    cap, p = x.shape
    if r < spacing * count:
        for j in range(p):
            out[at, j] = np.nan
        return
    now = r % cap
    for j in range(p):
        scratch[0, j], scratch[1, j] = 0.0, 0.0
    for k in range(1, count + 1):
        then = (r - k * spacing) % cap
        for j in range(p):
            scratch[0, j] += x[then, j] - x[now, j]
    for j in range(p):
        scratch[0, j] /= count
    for k in range(1, count + 1):
        then = (r - k * spacing) % cap
        for j in range(p):
            d = (x[then, j] - x[now, j]) - scratch[0, j]
            scratch[1, j] += d * d
    for j in range(p):
        away, deviation = -scratch[0, j], np.sqrt(scratch[1, j] / (count - 1.0))
        out[at, j] = away / deviation if divides(deviation, away) else np.nan


@batch
def drift(out: F8, x: F8, spacing: int, count: int) -> None:
    """(x - mean) / sample deviation of the `count` values `spacing`, 2 `spacing` ... open minutes before; NaN unless
    all are valid and where they do not vary. Shape (n, pairs)."""
    scratch = np.empty((2, x.shape[1]))
    for r in range(len(x)):
        drift_row(x, r, spacing, count, scratch, out, r)


@kernel
def recent_share_from(flag: F8, seg_age: I4, start: int, window: int, out: F8) -> None:
    """:func:`recent_share` of rows `start` .. of flag; `out` has a row for each of these."""
    p = flag.shape[1]
    for r in range(start, len(flag)):
        at = r - start
        inside = seg_age[r] >= window - 1
        for j in range(p):
            out[at, j] = 0.0 if inside else np.nan
        if inside:
            for k in range(r - window + 1, r + 1):
                for j in range(p):
                    out[at, j] += flag[k, j]
            for j in range(p):
                out[at, j] /= window


def recent_share(flag: F8, seg_age: I4, window: int) -> F8:
    """Share of ones among the last `window` rows of the segment of zeros and ones. Shape (n, pairs)."""
    out = np.empty(flag.shape)
    recent_share_from(flag, seg_age, 0, window, out)
    return out


@kernel
def standing_from(bid: F8, ask: F8, seg_age: I4, held: F8, out: F8) -> None:
    """:func:`standing` going on from `held` (HELD, pairs)."""
    for r in range(len(bid)):
        for j in range(bid.shape[1]):
            if seg_age[r] == 0:
                held[BID, j], held[ASK, j], held[MINUTES, j] = np.nan, np.nan, np.nan
            a, b = bid[r, j], ask[r, j]
            quoted = (a == a) & (b == b)
            if quoted and (a != held[BID, j] or b != held[ASK, j]):
                held[BID, j], held[ASK, j], held[MINUTES, j] = a, b, 0.0
            else:
                held[MINUTES, j] += 1.0
            out[r, j] = held[MINUTES, j]


def standing(bid: F8, ask: F8, seg_age: I4) -> F8:
    """Minutes since the last quote of the segment that differed from the one before it; a minute without a quote counts
    on. NaN before the segment's first. Shape (n, pairs)."""
    out = np.empty(bid.shape)
    standing_from(bid, ask, seg_age, np.full((HELD, bid.shape[1]), np.nan), out)
    return out
