"""How fast a level gives way to an error: least squares of its changes on the error and the change before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, batches, kernel
from bqx.features.kernels.moments import NEAR, TINY
from bqx.features.kernels.products import add, swap

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

SHIFT, COUNT, U, V, W, VV, WW, UV, UW, VW = 0, 1, 2, 4, 6, 8, 10, 12, 14, 16
"""Rows of a state: shift of the errors; number of rows; sums of u = dy(s), v = e(s-1) - shift, w = dy(s-1) and of their
products, each followed by its rounding error."""
STATE_ROWS = 18

COLLINEAR = 1e-10
"""A share of variance that the other regressor leaves, below which the two are one."""


@batches(3)
def adjustment_terms(out: tuple[F8, F8, F8], y: F8, error: F8, seg_age: I4) -> None:
    """dy(s), e(s-1) and dy(s-1), NaN in all three unless y(s-2) .. y(s), e(s-1) and e(s) are valid and of one segment.
    Shapes (n, pairs)."""
    now, then, before = out
    n, p = y.shape
    for r in range(n):
        inside = seg_age[r] >= 2
        one, two = r - 1 if inside else r, r - 2 if inside else r
        for j in range(p):
            e, d, c = error[one, j], y[r, j] - y[one, j], y[one, j] - y[two, j]
            whole = (d == d) & (c == c) & (e == e) & (error[r, j] == error[r, j]) & inside
            now[r, j] = d if whole else np.nan
            then[r, j] = e if whole else np.nan
            before[r, j] = c if whole else np.nan


@kernel
def _start_lane(u: F8, v: F8, w: F8, first: int, r: int, j: int, state: F8) -> None:
    """Sums of rows first .. r of one lane anew, errors shifted by their mean."""
    cap = len(u)
    total, count = 0.0, 0.0
    for k in range(first, r + 1):
        value = v[k % cap, j]
        total += value if value == value else 0.0
        count += 1.0 if value == value else 0.0
    for k in range(STATE_ROWS):
        state[k, j] = 0.0
    state[SHIFT, j], state[COUNT, j] = total / count if count > 0.0 else 0.0, count
    for k in range(first, r + 1):
        a, b, c = u[k % cap, j], v[k % cap, j] - state[SHIFT, j], w[k % cap, j]
        if b == b:
            add(state, U, j, a)
            add(state, V, j, b)
            add(state, W, j, c)
            add(state, VV, j, b * b)
            add(state, WW, j, c * c)
            add(state, UV, j, a * b)
            add(state, UW, j, a * c)
            add(state, VW, j, b * c)


@kernel
def _slide(u: F8, v: F8, w: F8, old: int, new: int, leaves: bool, state: F8) -> None:
    """Row `new` in and, if it `leaves`, row `old` out; few sums a loop, for longer ones do not vectorise."""
    p = u.shape[1]
    for j in range(p):
        goes, comes = (v[old, j] == v[old, j]) & leaves, v[new, j] == v[new, j]
        a, b = u[old, j] if goes else 0.0, u[new, j] if comes else 0.0
        c, d = w[old, j] if goes else 0.0, w[new, j] if comes else 0.0
        swap(state, U, j, a, b)
        swap(state, W, j, c, d)
        swap(state, WW, j, c * c, d * d)
        swap(state, UW, j, a * c, b * d)
    for j in range(p):
        goes, comes = (v[old, j] == v[old, j]) & leaves, v[new, j] == v[new, j]
        a = v[old, j] - state[SHIFT, j] if goes else 0.0
        b = v[new, j] - state[SHIFT, j] if comes else 0.0
        swap(state, V, j, a, b)
        swap(state, VV, j, a * a, b * b)
        state[COUNT, j] += (1.0 if comes else 0.0) - (1.0 if goes else 0.0)
    for j in range(p):
        goes, comes = (v[old, j] == v[old, j]) & leaves, v[new, j] == v[new, j]
        a = v[old, j] - state[SHIFT, j] if goes else 0.0
        b = v[new, j] - state[SHIFT, j] if comes else 0.0
        swap(state, UV, j, a * (u[old, j] if goes else 0.0), b * (u[new, j] if comes else 0.0))
        swap(state, VW, j, a * (w[old, j] if goes else 0.0), b * (w[new, j] if comes else 0.0))


@kernel
def _stale(state: F8, j: int) -> bool:
    """Whether the mean error has moved away from its shift."""
    s, n = state[V, j] + state[V + 1, j], state[COUNT, j]
    return bool((1.0 + NEAR) * (s * s) > NEAR * n * (state[VV, j] + state[VV + 1, j])) | bool(n <= 1.0)


@kernel
def adjustment_step(
    u: F8, v: F8, w: F8, r: int, seg_age: int, window: int, need: int, state: F8, out: F8, row: int
) -> None:
    """Take bar r of the rings of :func:`adjustment_terms` in; the coefficient into out[row]."""
    cap, p = u.shape
    first = max(r - window + 1, 0)
    if seg_age == 0:
        for j in range(p):
            _start_lane(u, v, w, first, r, j, state)
    else:
        _slide(u, v, w, (r - window) % cap, r % cap, r - window >= 0, state)
        stale = 0
        for j in range(p):
            stale += 1 if _stale(state, j) else 0
        if stale:
            for j in range(p):
                if state[COUNT, j] == 0.0:  # nothing to start from: no look at the window
                    for k in range(STATE_ROWS):
                        state[k, j] = 0.0
                elif _stale(state, j):
                    _start_lane(u, v, w, first, r, j, state)
    for j in range(p):
        n = state[COUNT, j]
        a, b, c = state[U, j] + state[U + 1, j], state[V, j] + state[V + 1, j], state[W, j] + state[W + 1, j]
        vv = (state[VV, j] + state[VV + 1, j]) - b * (b / n)
        ww = (state[WW, j] + state[WW + 1, j]) - c * (c / n)
        uv = (state[UV, j] + state[UV + 1, j]) - a * (b / n)
        uw = (state[UW, j] + state[UW + 1, j]) - a * (c / n)
        vw = (state[VW, j] + state[VW + 1, j]) - b * (c / n)
        apart = vv * ww - vw * vw
        least = TINY * TINY * n
        ok = (n >= need) & (vv > least) & (ww > least) & (apart > COLLINEAR * (vv * ww))
        out[row, j] = (uv * ww - uw * vw) / apart if ok else np.nan


@batch
def _adjustments(out: F8, u: F8, v: F8, w: F8, seg_age: I4, window: int, need: int) -> None:
    state = np.zeros((STATE_ROWS, u.shape[1]))
    for r in range(len(u)):
        adjustment_step(u, v, w, r, seg_age[r], window, need, state, out, r)


def adjustment(y: F8, error: F8, seg_age: I4, window: int, need: int) -> F8:
    """a of the least squares dy(s) = c + a e(s-1) + g dy(s-1) over the last `window` open minutes (Engle & Granger
    1987, step 2); NaN below `need` whole rows, and where e or dy do not move or are one. y : levels, each segment from
    its own zero. Shape (n, pairs)."""
    u, v, w = adjustment_terms(y, error, seg_age)
    return _adjustments(u, v, w, seg_age, window, need)


@batch
def nearer(out: F8, error: F8, seg_age: I4, step: int) -> None:
    """1 where an error is smaller in size than `step` bars ago in its segment, else 0, NaN where either is missing.
    Shape (n, pairs)."""
    n, p = error.shape
    for r in range(n):
        inside = seg_age[r] >= step
        then = r - step if inside else r
        for j in range(p):
            a, b = abs(error[r, j]), abs(error[then, j])
            flag = 1.0 if a < b else 0.0
            out[r, j] = flag if (a == a) & (b == b) & inside else np.nan
