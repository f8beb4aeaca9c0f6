"""Spreads that show in prices alone: what trades leave between closes (Roll 1984) and in the range of neighbouring bars
(Corwin & Schultz 2012, Abdi & Ranaldo 2017). Levels are logarithms in basis points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.levels import BPS
from bqx.features.kernels.mathfun import exp
from bqx.features.kernels.products import AB, COUNT, PRODUCT_ROWS, A, B, products_step
from bqx.features.kernels.sums import RESTART

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

NOTHING = 1e-6
"""A covariance (bps^2) of at most this shows no spread: its root, 0.002 bps, would be made of rounding."""
SILVER = 2.414213562373095
"""1 + sqrt 2: with it (sqrt(2 b) - sqrt b) / (3 - 2 sqrt 2) - sqrt(g / (3 - 2 sqrt 2)) is SILVER (sqrt b - sqrt g)."""


@kernel
def spread_of(covariance: float) -> float:
    """2 sqrt(covariance), 0 where it shows none; NaN for NaN."""
    root: float = 2.0 * np.sqrt(covariance)
    return root if not covariance <= NOTHING else 0.0


@kernel
def bounce_step(now: F8, then: F8, r: int, seg_age: int, window: int, need: int, state: F8, out: F8, row: int) -> None:
    """Take bar r of the rings `now` and `then` in, changes and those before them, NaN in the same places; emit Roll's
    spread into out[row]. state : (PRODUCT_ROWS, pairs)."""
    products_step(now, then, r, window, r - seg_age, seg_age % RESTART == 0, state)
    enough = float(need) if seg_age >= window - 1 else np.inf
    for j in range(now.shape[1]):
        n = state[COUNT, j]
        u, v = state[A, j] + state[A + 1, j], state[B, j] + state[B + 1, j]
        covariance = ((state[AB, j] + state[AB + 1, j]) - u * (v / n)) / (n - 1.0)
        out[row, j] = spread_of(-covariance) if n >= enough else np.nan


@batch
def bounce(out: F8, now: F8, then: F8, seg_age: I4, window: int, need: int) -> None:
    """2 sqrt(-covariance of `now` and `then`) over the last `window` rows of the segment, 0 where it is not negative
    (Roll 1984); NaN below `need` valid rows. Sample covariance, shape (n, pairs)."""
    state = np.zeros((PRODUCT_ROWS, now.shape[1]))
    for r in range(len(now)):
        bounce_step(now, then, r, seg_age[r], window, need, state, out, r)


@kernel
def ranges_row(high: F8, low: F8, close: F8, fill_run: I4, r: int, seg_age: int, out: tuple[F8, F8], row: int) -> None:
    """Bar r and the one before, from rings of at least 2 rows, into row `row`; see :func:`neighbours`."""
    spread, product = out
    cap, p = high.shape
    a, b = r % cap, (r - 1) % cap
    for j in range(p):
        one, two = high[a, j] - low[a, j], high[b, j] - low[b, j]
        top = high[a, j] if high[a, j] > high[b, j] else high[b, j]
        bottom = low[a, j] if low[a, j] < low[b, j] else low[b, j]
        alpha = SILVER * (np.sqrt(one * one + two * two) - (top - bottom))
        e = exp(alpha / BPS)
        width = (2.0 * BPS) * ((e - 1.0) / (e + 1.0))
        width = width if width > 0.0 else 0.0
        fresh = (fill_run[a, j] == 0) & (fill_run[b, j] == 0) & (seg_age >= 1)
        spread[row, j] = width if fresh else np.nan
        off = close[b, j] - 0.5 * (high[b, j] + low[b, j])
        ahead = close[b, j] - 0.5 * (high[a, j] + low[a, j])
        product[row, j] = off * ahead if fresh else np.nan


def neighbours(high: F8, low: F8, close: F8, fill_run: I4, seg_age: I4) -> tuple[F8, F8]:
    """Of each bar and the one before it in the segment, both quoted, else NaN: the spread of Corwin & Schultz (2012) in
    bps, negatives set to 0, and the product (c1 - m1)(c1 - m) of Abdi & Ranaldo (2017), with c1 the close and m1 the
    middle of the range of the bar before, m that of the bar. Shapes (n, pairs)."""
    out = (np.empty(high.shape), np.empty(high.shape))
    _neighbours(high, low, close, fill_run, seg_age, out)
    return out


@kernel
def _neighbours(high: F8, low: F8, close: F8, fill_run: I4, seg_age: I4, out: tuple[F8, F8]) -> None:
    for r in range(len(high)):
        ranges_row(high, low, close, fill_run, r, seg_age[r], out, r)


@batch
def spreads_of(out: F8, covariance: F8) -> None:
    """:func:`spread_of` each. Shape (n, pairs)."""
    n, p = covariance.shape
    for r in range(n):
        for j in range(p):
            out[r, j] = spread_of(covariance[r, j])
