"""Half-life of a series' distance from its window's mean: the autoregression of order 1 of that distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.kernels.moments import FAR, TINY
from bqx.features.kernels.robust_ratio import restarts
from bqx.features.kernels.splice import splice, stretches
from bqx.features.kernels.sums import equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

LN2 = log_ratio(2.0, 1.0)
EDGE = 1e-9
"""A coefficient this near to -1 is -1."""

SHIFT, VALUES, PAIRS, LEVEL, THEN, SQUARE, STEP, CROSS = 0, 1, 2, 3, 5, 7, 9, 11
"""Rows of a state: shift; number of values and of pairs; sums of y, of the earlier of a pair, of its square, of the
change to the later, of earlier times change, all from y - shift, each followed by its rounding error."""
STATE_ROWS = 13


@kernel
def _plus(state: F8, at: int, j: int, v: float) -> None:
    s = state[at, j]
    t = s + v
    b = t - s
    state[at + 1, j] += (s - (t - b)) + (v - b)
    state[at, j] = t


@kernel
def _swap(y: F8, row: int, before: int, paired: bool, sign: float, state: F8) -> None:
    """Add (sign 1) or remove (-1) row `row` of y and its pair with row `before`, if `paired`."""
    for j in range(y.shape[1]):
        a, b = y[before, j], y[row, j]
        valid, both = b == b, (a == a) & (b == b) & paired
        state[VALUES, j] += sign if valid else 0.0
        state[PAIRS, j] += sign if both else 0.0
        _plus(state, LEVEL, j, sign * (b - state[SHIFT, j]) if valid else 0.0)
        _plus(state, THEN, j, sign * (a - state[SHIFT, j]) if both else 0.0)
    for j in range(y.shape[1]):
        a, b = y[before, j], y[row, j]
        both = (a == a) & (b == b) & paired
        d = a - state[SHIFT, j] if both else 0.0
        _plus(state, SQUARE, j, sign * (d * d))
    for j in range(y.shape[1]):
        a, b = y[before, j], y[row, j]
        both = (a == a) & (b == b) & paired
        d, c = a - state[SHIFT, j] if both else 0.0, b - a if both else 0.0
        _plus(state, STEP, j, sign * c)
        _plus(state, CROSS, j, sign * (d * c))


@kernel
def _begin(y: F8, first: int, r: int, floor: int, state: F8) -> None:
    """Lanes anew over rows first .. r, shifted by their mean."""
    cap = len(y)
    for k in range(STATE_ROWS):
        for j in range(y.shape[1]):
            state[k, j] = 0.0
    for k in range(first, r + 1):
        for j in range(y.shape[1]):
            v = y[k % cap, j]
            state[SHIFT, j] += v if v == v else 0.0
            state[VALUES, j] += 1.0 if v == v else 0.0
    for j in range(y.shape[1]):
        n = state[VALUES, j]
        state[SHIFT, j] = state[SHIFT, j] / (n if n > 0.0 else 1.0)
        state[VALUES, j] = 0.0
    for k in range(first, r + 1):
        _swap(y, k % cap, (k - 1) % cap, k > floor, 1.0, state)


@kernel
def _far(state: F8, j: int) -> bool:
    """Whether the mean has moved away from the shift by too many deviations."""
    s, n = state[THEN, j] + state[THEN + 1, j], state[PAIRS, j]
    square = s * s
    return bool((1.0 + FAR) * square > FAR * n * (state[SQUARE, j] + state[SQUARE + 1, j]))


@kernel
def half_life_step(
    y: F8, r: int, floor: int, restart: bool, window: int, need: tuple[float, float], state: F8, run: F8, last: F8,
    out: F8, row: int,
) -> None:  # fmt: skip
    """Half-life of the last `window` values and changes, none from before row `floor`, of the ring `y` (row k at
    k % len(y), len(y) > window + 1) into out[row]. need : values, changes. state (STATE_ROWS, pairs) holds rows up to
    r - 1."""
    cap, first = len(y), max(r - window + 1, floor)
    equal_run_step(y, r % cap, run, last)
    if restart:
        _begin(y, first, r, floor, state)
    else:
        old = r - window
        if old >= floor:
            _swap(y, old % cap, (old - 1) % cap, old > floor, -1.0, state)
        _swap(y, r % cap, (r - 1) % cap, r > floor, 1.0, state)
        stale = 0
        for j in range(y.shape[1]):
            stale += 1 if _far(state, j) else 0
        if stale:
            for j in range(y.shape[1]):
                if _far(state, j):
                    _begin(y[:, j : j + 1], first, r, floor, state[:, j : j + 1])
    for j in range(y.shape[1]):
        n, pairs = state[VALUES, j], state[PAIRS, j]
        mean = (state[LEVEL, j] + state[LEVEL + 1, j]) / n
        then, step = state[THEN, j] + state[THEN + 1, j], state[STEP, j] + state[STEP + 1, j]
        above = (state[CROSS, j] + state[CROSS + 1, j]) - mean * step
        below = ((state[SQUARE, j] + state[SQUARE + 1, j]) - 2.0 * mean * then) + pairs * mean * mean
        phi = above / below
        back = (phi > -1.0 + EDGE) & (phi < 0.0)
        bars = -LN2 / log_ratio(1.0 + phi if back else 0.5, 1.0)
        value = bars / window if back & (bars < window) else 1.0
        ok = (n >= need[0]) & (pairs >= need[1]) & (run[j] < n) & (below > TINY * TINY)
        out[row, j] = value if ok else np.nan


@kernel
def _stretch(
    y: F8, skip: int, ages: I4, window: int, need: tuple[float, float], inside: bool, out: F8
) -> None:  # fmt: skip
    p = y.shape[1]
    state, run, last = np.zeros((STATE_ROWS, p)), np.zeros(p), np.full(p, np.nan)
    never = (np.inf, np.inf)
    for r in range(skip):
        equal_run_step(y, r, run, last)
    for r in range(skip, len(y)):
        age = ages[r - skip]
        whole = not inside or age >= window
        half_life_step(
            y, r, 0, restarts(age, window), window, need if whole else never, state, run, last, out, r - skip
        )


def half_life(
    y: F8, seg_age: I4, segment: I4, ends: F8, window: int, need: tuple[float, float], inside: bool
) -> F8:  # fmt: skip
    """min(h, window) / window with h = -ln 2 / ln(1 + phi) bars, 1 unless -1 < phi < 0: phi is the least-squares
    coefficient of the last `window` changes on y - mean one bar before, mean of the last `window` values. NaN below
    `need` values and changes, and where all values are equal.

    Windows lie `inside` a segment or reach over closures, whose gaps are removed (`splice`). Shape (n, pairs).
    """
    out = np.empty(y.shape)
    for first, start, stop in stretches(seg_age, 0 if inside else window):
        levels = splice(y, segment, ends, first, start, stop)
        _stretch(levels, start - first, seg_age[start:stop], window, need, inside, out[start:stop])
    return out
