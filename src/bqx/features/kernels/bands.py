"""Bands around a moving mean: width, place between them, bars outside. From shift, excess and deviation of `centre`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

EDGE = 1.0 + 1e-8
"""A bar at its band is not outside: of 8 equal values and 2 other equal ones these lie exactly 2 deviations away."""


@kernel
def settle(shift: F8, excess: F8, deviation: F8, relative: float, absolute: float) -> None:
    """Set deviations that are rounding noise, at most relative * abs(mean) + absolute, to 0; in place."""
    n, p = shift.shape
    for r in range(n):
        for j in range(p):
            least = relative * abs(shift[r, j] + excess[r, j]) + absolute
            d = deviation[r, j]
            deviation[r, j] = 0.0 if d <= least else d


def place_between(x: F8, shift: F8, excess: F8, deviation: F8) -> F8:
    """(x - lower) / (upper - lower) for bands two deviations from the mean, NaN for bands of no width.
    Shape (n, pairs)."""
    out = np.empty(x.shape)
    _place_between(x, shift, excess, deviation, out)
    return out


@kernel
def _place_between(x: F8, shift: F8, excess: F8, deviation: F8, out: F8) -> None:
    n, p = x.shape
    for r in range(n):
        for j in range(p):
            a, b = (x[r, j] - shift[r, j]) - excess[r, j], 4.0 * deviation[r, j]
            out[r, j] = 0.5 + a / b if b > 0.0 else np.nan


def mean_change(shift: F8, excess: F8, lag: int) -> F8:
    """(mean(t) - mean(t - lag)) / lag. Shape (n, pairs)."""
    out = np.full(shift.shape, np.nan)
    _mean_change(shift, excess, lag, out)
    return out


@kernel
def _mean_change(shift: F8, excess: F8, lag: int, out: F8) -> None:
    n, p = shift.shape
    for r in range(lag, n):
        for j in range(p):
            moved = (shift[r, j] - shift[r - lag, j]) + (excess[r, j] - excess[r - lag, j])
            out[r, j] = moved / lag


def outside(x: F8, shift: F8, excess: F8, deviation: F8) -> F8:
    """1 above the upper band, -1 below the lower, else 0; NaN where one of them is. Shape (n, pairs)."""
    out = np.empty(x.shape)
    _outside(x, shift, excess, deviation, out)
    return out


@kernel
def _outside(x: F8, shift: F8, excess: F8, deviation: F8, out: F8) -> None:
    n, p = x.shape
    for r in range(n):
        for j in range(p):
            a, b = (x[r, j] - shift[r, j]) - excess[r, j], 2.0 * EDGE * deviation[r, j]
            side = (1.0 if a > b else 0.0) - (1.0 if a < -b else 0.0)
            side = side if deviation[r, j] > 0.0 else 0.0
            out[r, j] = side if a == a and b == b else np.nan


@kernel
def balance_step(flag: F8, r: int, seg_age: int, window: int, need: int, state: F8, out: F8, row: int) -> None:
    """Take bar r of the ring `flag` (row k at k % len(flag)) in; emit the mean of the whole numbers in the window.

    state (2, pairs): their sum and count, exact in float64.
    """
    cap, p = flag.shape
    keep = 0.0 if seg_age == 0 else 1.0
    leaves = seg_age >= window
    enough = float(need) if seg_age >= window - 1 else np.inf
    gone, new = (r - window) % cap, r % cap
    for j in range(p):
        total, count = keep * state[0, j], keep * state[1, j]
        old, v = flag[gone, j], flag[new, j]
        drop = leaves and old == old
        total += (v if v == v else 0.0) - (old if drop else 0.0)
        count += (1.0 if v == v else 0.0) - (1.0 if drop else 0.0)
        state[0, j], state[1, j] = total, count
        out[row, j] = total / count if count >= enough else np.nan


def balance(flag: F8, seg_age: I4, window: int, need: int) -> F8:
    """Mean of the valid whole numbers among the last `window` rows of the segment; NaN below `need` of them.
    Shape (n, pairs)."""
    out = np.empty(flag.shape)
    _balance(flag, seg_age, window, need, out)
    return out


@kernel
def _balance(flag: F8, seg_age: I4, window: int, need: int, out: F8) -> None:
    n, p = flag.shape
    state = np.zeros((2, p))
    for r in range(n):
        balance_step(flag, r, seg_age[r], window, need, state, out, r)
