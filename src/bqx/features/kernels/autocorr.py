"""Serial dependence inside a segment: correlation of pairs at a lag, and the variance ratio."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import NEAR, TINY
from bqx.features.kernels.products import correlations
from bqx.features.kernels.sums import (
    COUNT,
    E2,
    RESTART,
    S2,
    SHIFT,
    STATE_ROWS,
    equal_run_step,
    first_moment,
    recentre,
    sums_step,
)

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def lagged_pairs(x: F8, seg_age: I4, lag: int, now: F8, then: F8) -> None:
    """x(t) and x(t - lag) where both are valid and in one segment, else NaN in both. Shapes (n, pairs)."""
    n, p = x.shape
    for r in range(n):
        inside = seg_age[r] >= lag
        for j in range(p):
            a, b = x[r, j], x[r - lag if inside else r, j]
            both = inside and a == a and b == b
            now[r, j] = a if both else np.nan
            then[r, j] = b if both else np.nan


@kernel
def _squares(state: F8, j: int) -> float:
    """Sum of squared deviations from the mean."""
    e = first_moment(state, j)
    v: float = (state[S2, j] + state[E2, j]) - e * e * state[COUNT, j]
    return v


def autocorrelation(x: F8, seg_age: I4, lag: int, window: int, need: int) -> F8:
    """Correlation of the last `window` pairs (x(t), x(t - lag)) of the segment; NaN below `need` valid pairs and where
    either side is flat. Shape (n, pairs)."""
    now, then, out = np.empty(x.shape), np.empty(x.shape), np.empty(x.shape)
    lagged_pairs(x, seg_age, lag, now, then)
    correlations(now, then, seg_age, window, need, out)
    return out


def sums_of(x: F8, seg_age: I4, q: int) -> F8:
    """Sum of the last q rows of the segment, oldest first; NaN unless all are valid. Shape (n, pairs)."""
    out = np.full(x.shape, np.nan)
    _sums_of(x, seg_age, q, out)
    return out


@kernel
def _sums_of(x: F8, seg_age: I4, q: int, out: F8) -> None:
    n, p = x.shape
    for r in range(n):
        if seg_age[r] >= q - 1:
            for j in range(p):
                out[r, j] = x[r - q + 1, j]
            for k in range(r - q + 2, r + 1):
                for j in range(p):
                    out[r, j] += x[k, j]


@kernel
def ratio_step(
    x: F8, many: F8, r: int, seg_age: int, window: int, q: int, need: tuple[int, int], states: F8, run: F8, last: F8,
    out: F8, row: int,
) -> None:  # fmt: skip
    """Take bar r in; emit the variance ratio into out[row].

    many : sums of q changes. need : valid changes among `window`, valid sums among window - q + 1.
    states (2, STATE_ROWS, pairs).
    """
    cap, floor = len(x), r - seg_age
    if seg_age == 0:
        states[:] = 0.0
        run[:] = 0.0
        last[:] = np.nan
    equal_run_step(x, r % cap, run, last)
    restart, sums = seg_age % RESTART == 0, window - q + 1
    sums_step(x, r, window, floor, restart, states[0])
    recentre(x, max(r - window + 1, floor), r, states[0], NEAR)
    sums_step(many, r, sums, floor, restart, states[1])
    recentre(many, max(r - sums + 1, floor), r, states[1], NEAR)
    enough = float(need[0]) if seg_age >= window - 1 else np.inf
    for j in range(x.shape[1]):
        n, m = states[0, COUNT, j], states[1, COUNT, j]
        one, e = first_moment(states[0], j), first_moment(states[1], j)
        off = (states[1, SHIFT, j] - q * states[0, SHIFT, j]) + (e - q * one)
        above = (_squares(states[1], j) + m * off * off) / (m * (1.0 - q / n))
        below = q * (_squares(states[0], j) / (n - 1.0))
        ok = n >= enough and m >= need[1] and run[j] < n and below > TINY * TINY
        out[row, j] = above / below if ok else np.nan


def variance_ratio(x: F8, seg_age: I4, window: int, q: int, need: tuple[int, int]) -> F8:
    """Unbiased variance ratio of overlapping sums of q changes (Lo & MacKinlay 1988) over `window` changes of the
    segment: sum (S - q mean)^2 / (m q (1 - q / n)) over q times the sample variance, with n valid changes and m valid
    sums. Shape (n, pairs)."""
    out = np.empty(x.shape)
    _variance_ratio(x, sums_of(x, seg_age, q), seg_age, window, q, need, out)
    return out


@kernel
def _variance_ratio(x: F8, many: F8, seg_age: I4, window: int, q: int, need: tuple[int, int], out: F8) -> None:
    n, p = x.shape
    states = np.zeros((2, STATE_ROWS, p))
    run, last = np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        ratio_step(x, many, r, seg_age[r], window, q, need, states, run, last, out, r)
