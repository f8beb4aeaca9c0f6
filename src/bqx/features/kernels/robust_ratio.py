"""Heteroskedasticity-robust z* of the variance ratio (Lo & MacKinlay 1988) over sliding windows.

With changes x, their mean m and c_j = (2 (q - j) / q)^2, theta = n sum_j c_j sum_k (x_k - m)^2 (x_(k-j) - m)^2 /
(sum_k (x_k - m)^2)^2. Multiplied out in powers of m, what is left are sums over k of x_k^f times
sum_j (q - j)^2 x_(k-j)^g: filters with quadratic weights, each three running sums, in place of q - 1 lagged products.
Changes, not levels: their mean is small beside their deviation, so that the powers of m cost no digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.sums import equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

S0, S1, S2 = 0, 2, 4
"""Rows of a filter over the last q - 1 values: sums of g, (q - j) g and (q - j)^2 g, j bars ago, each followed by its
rounding error (Knuth 1969, TwoSum), for errors in one are summed up in the next."""
X, XX, ONES, FILTER_ROWS = 0, 6, 12, 15
"""Where a filter holds them for g = x, x^2 and 1; the last are whole numbers."""
LEAD, TRAIL = 0, FILTER_ROWS
"""The filters before the newest and behind the oldest bar of the window."""
P22, P21, P11, P10, P00 = range(2 * FILTER_ROWS, 2 * FILTER_ROWS + 5)
"""Sums over pairs a, b of changes of a^2 b^2; a^2 b + a b^2; a^2 + b^2 + 4 a b; a + b; 1, weighted by (q - j)^2."""
N, A, AA, C, CC, SC, SS, PEAK = range(P00 + 1, P00 + 9)
"""Number, sum and sum of squares of changes; over spans of q bars sums of c, c^2, s c and s^2, where s is the sum of a
span and c the number of its changes; largest AA since the lane began."""
STATE_ROWS = PEAK + 1
QUIET = 100.0
"""A lane begins anew when AA has fallen by this: what has left was large, and left its rounding behind."""
RESTART_SHORT, RESTART_LONG = 1024, 4096
"""Sums begin anew where seg_age is a multiple of this: of the second for windows that are longer than the first."""


@kernel
def restarts(seg_age: int, window: int) -> bool:
    """Whether sums over `window` bars begin anew at this bar of the segment."""
    return seg_age % (RESTART_SHORT if window <= RESTART_SHORT else RESTART_LONG) == 0


@kernel
def _plus(state: F8, at: int, j: int, v: float) -> None:
    s = state[at, j]
    t = s + v
    b = t - s
    state[at + 1, j] += (s - (t - b)) + (v - b)
    state[at, j] = t


@kernel
def _value(x: F8, row: int, inside: bool, j: int) -> float:
    v = x[row, j]
    return v if inside & (v == v) else 0.0


@kernel
def _one(x: F8, row: int, inside: bool, j: int) -> float:
    return 1.0 if inside & (x[row, j] == x[row, j]) else 0.0


@kernel
def _push(x: F8, new: int, enters: bool, old: int, leaves: bool, q: float, at: int, state: F8) -> None:
    """Move the filter at row `at` on one bar: row `new` of x is then 1 bar ago, row `old` drops out."""
    near = q - 1.0
    for j in range(x.shape[1]):
        v = near * near * _value(x, new, enters, j) - 2.0 * (state[at + X + S1, j] + state[at + X + S1 + 1, j])
        _plus(state, at + X + S2, j, v + (state[at + X + S0, j] + state[at + X + S0 + 1, j]))
    for j in range(x.shape[1]):
        v = near * _value(x, new, enters, j)
        _plus(state, at + X + S1, j, v - (state[at + X + S0, j] + state[at + X + S0 + 1, j]))
    for j in range(x.shape[1]):
        _plus(state, at + X + S0, j, _value(x, new, enters, j))
        _plus(state, at + X + S0, j, -_value(x, old, leaves, j))
    for j in range(x.shape[1]):
        u = _value(x, new, enters, j)
        v = near * near * (u * u) - 2.0 * (state[at + XX + S1, j] + state[at + XX + S1 + 1, j])
        _plus(state, at + XX + S2, j, v + (state[at + XX + S0, j] + state[at + XX + S0 + 1, j]))
    for j in range(x.shape[1]):
        u = _value(x, new, enters, j)
        _plus(state, at + XX + S1, j, near * (u * u) - (state[at + XX + S0, j] + state[at + XX + S0 + 1, j]))
    for j in range(x.shape[1]):
        u, w = _value(x, new, enters, j), _value(x, old, leaves, j)
        _plus(state, at + XX + S0, j, u * u)
        _plus(state, at + XX + S0, j, -(w * w))
    for j in range(x.shape[1]):
        u, w = _one(x, new, enters, j), _one(x, old, leaves, j)
        s0, s1 = state[at + ONES, j], state[at + ONES + 1, j]
        state[at + ONES + 2, j] += (near * near * u - 2.0 * s1) + s0
        state[at + ONES + 1, j] = s1 + (near * u - s0)
        state[at + ONES, j] = (s0 + u) - w


@kernel
def _meet(
    x: F8, row: int, inside: bool, sign: float, whole_span: bool, q: float, at: int, turned: bool, state: F8
) -> None:
    """Add (sign 1) or remove (-1) row `row` with its pairs in the filter at row `at`.

    whole_span : the q bars of row and filter count as a span. turned : the filter holds the bars after the row.
    """
    # j^2 = q^2 - 2 q (q - j) + (q - j)^2 turns a filter around
    whole, half = (q * q, -2.0 * q) if turned else (0.0, 0.0)
    for j in range(x.shape[1]):
        u = _value(x, row, inside, j)
        one = (whole * (state[at + X + S0, j] + state[at + X + S0 + 1, j])
               + half * (state[at + X + S1, j] + state[at + X + S1 + 1, j])) + (
            state[at + X + S2, j] + state[at + X + S2 + 1, j])  # fmt: skip
        two = (whole * (state[at + XX + S0, j] + state[at + XX + S0 + 1, j])
               + half * (state[at + XX + S1, j] + state[at + XX + S1 + 1, j])) + (
            state[at + XX + S2, j] + state[at + XX + S2 + 1, j])  # fmt: skip
        state[P22, j] += sign * ((u * u) * two)
        state[P21, j] += sign * ((u * u) * one + u * two)
    for j in range(x.shape[1]):
        u, v = _value(x, row, inside, j), _one(x, row, inside, j)
        one = (whole * (state[at + X + S0, j] + state[at + X + S0 + 1, j])
               + half * (state[at + X + S1, j] + state[at + X + S1 + 1, j])) + (
            state[at + X + S2, j] + state[at + X + S2 + 1, j])  # fmt: skip
        two = (whole * (state[at + XX + S0, j] + state[at + XX + S0 + 1, j])
               + half * (state[at + XX + S1, j] + state[at + XX + S1 + 1, j])) + (
            state[at + XX + S2, j] + state[at + XX + S2 + 1, j])  # fmt: skip
        none = whole * state[at + ONES, j] + half * state[at + ONES + 1, j] + state[at + ONES + 2, j]
        state[P11, j] += sign * (((u * u) * none + v * two) + 4.0 * (u * one))
        state[P10, j] += sign * (u * none + v * one)
        state[P00, j] += sign * (v * none)
    for j in range(x.shape[1]):
        u, v = _value(x, row, inside, j), _one(x, row, inside, j)
        state[N, j] += sign * v
        state[A, j] += sign * u
        state[AA, j] += sign * (u * u)
    spans = sign if whole_span else 0.0
    for j in range(x.shape[1]):
        c = _one(x, row, inside, j) + state[at + ONES, j]
        s = _value(x, row, inside, j) + (state[at + X + S0, j] + state[at + X + S0 + 1, j])
        state[C, j] += spans * c
        state[CC, j] += spans * (c * c)
        state[SC, j] += spans * (s * c)
        state[SS, j] += spans * (s * s)


@kernel
def _take(x: F8, r: int, window: int, q: int, begin: int, floor: int, slides: bool, state: F8) -> None:
    """Row r of the ring in and, if the window `slides`, row r - window out. Rows before `floor` are absent, rows before
    `begin` have no part in the sums."""
    cap, old, width, edge = len(x), r - window, float(q), max(begin, floor)
    _push(x, (r - 1) % cap, r - 1 >= edge, (r - q) % cap, r - q >= edge, width, LEAD, state)
    _meet(x, r % cap, True, 1.0, r - q + 1 >= begin, width, LEAD, False, state)
    _push(x, (old + q - 1) % cap, old + q - 1 >= edge, old % cap, old >= edge, width, TRAIL, state)
    if slides:
        _meet(x, old % cap, old >= edge, -1.0, True, width, TRAIL, True, state)
    for j in range(x.shape[1]):
        state[PEAK, j] = max(state[PEAK, j], state[AA, j])


@kernel
def _begin(x: F8, r: int, window: int, q: int, floor: int, state: F8) -> None:
    """Lanes anew over the window that ends at row r."""
    for k in range(STATE_ROWS):
        for j in range(x.shape[1]):
            state[k, j] = 0.0
    first = r - window + 1
    for k in range(max(first, floor), r + 1):
        _take(x, k, window, q, first, floor, False, state)
    for j in range(x.shape[1]):
        state[PEAK, j] = state[AA, j]


@kernel
def robust_ratio_step(
    x: F8, r: int, floor: int, restart: bool, window: int, q: int, need: float, state: F8, run: F8,
    last: F8, out: F8, row: int,
) -> None:  # fmt: skip
    """z* of rows max(r - window + 1, floor) .. r of the ring `x` (row k at k % len(x), len(x) > window) into out[row].

    need : valid changes. state (STATE_ROWS, pairs) holds rows up to r - 1.
    """
    p = x.shape[1]
    equal_run_step(x, r % len(x), run, last)
    if restart:
        _begin(x, r, window, q, floor, state)
    else:
        _take(x, r, window, q, r - 2 * window, floor, True, state)
        stale = 0
        for j in range(p):
            stale += 1 if QUIET * state[AA, j] < state[PEAK, j] else 0
        if stale:
            for j in range(p):
                if QUIET * state[AA, j] < state[PEAK, j]:
                    _begin(x[:, j : j + 1], r, window, q, floor, state[:, j : j + 1])
    for j in range(p):
        n, total = state[N, j], state[A, j]
        m = total / n
        square = state[AA, j] - total * m
        spans = (state[SS, j] - 2.0 * m * state[SC, j]) + (m * m) * state[CC, j]
        above, below = spans / (state[C, j] * (1.0 - q / n)), square / (n - 1.0)
        fourth = ((state[P22, j] - 2.0 * m * state[P21, j]) + (m * m) * state[P11, j]) + (
            (m * m) * (m * m) * state[P00, j] - 2.0 * (m * m) * m * state[P10, j]
        )
        theta = n * (4.0 / (q * q)) * fourth / (square * square)
        ok = (n >= need) & (run[j] < n) & (below > TINY * TINY) & (theta > TINY)
        out[row, j] = np.sqrt(n) * (above / below - 1.0) / np.sqrt(theta) if ok else np.nan


@batch
def robust_ratio(out: F8, x: F8, seg_age: I4, window: int, q: int, need: float, inside: bool) -> None:
    """z*(q) of the last `window` changes, unbiased and overlapping: (VR - 1) sqrt(n / theta), with n valid changes; NaN
    below `need` of them and where all are equal. A span of q bars has what changes are valid, c of them: VR is
    sum (s - c m)^2 / sum c over the variance of changes.

    inside : windows lie in a segment, else they count open minutes over closures. Shape (n, pairs).
    """
    n, p = x.shape
    state, run, last = np.zeros((STATE_ROWS, p)), np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        if inside and seg_age[r] == 0:
            run[:], last[:] = 0.0, np.nan
        enough = need if not inside or seg_age[r] >= window - 1 else np.inf
        floor = r - seg_age[r] if inside else 0
        robust_ratio_step(x, r, floor, restarts(seg_age[r], window), window, q, enough, state, run, last, out, r)
