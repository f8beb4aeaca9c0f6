"""t statistic of a line's slope with the errors' own serial correlation (Newey & West 1987).

With g = u e, u the place less its mean and e the residual, the Bartlett-weighted sum of autocovariances of g up to lag
L is the sum of squares of all sums of L + 1 neighbours of g, divided by L + 1: never negative. Sums that lie inside
the window are slid by their parts, the 2 L that overlap its ends are added up anew. What is missing has g = 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.positions import KZ, ZZ, Levels, State, Z, position_state, position_step, with_past
from bqx.features.kernels.sums import equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

CLOSE = 1e-4
"""Where the squares that are left are a smaller part of those they come from, the window is added up anew: the sums
would lose more digits than these four."""

BB, BA, AA, A0, A1, A2, B0, B1, B2 = range(9)
"""Rows of the sums of squares and products of a = sum z and b = sum k z of L + 1 neighbours, and of a and b times 1, m
and m^2 with m the middle of their places."""
BLOCK_SUMS = 9

Blocks = tuple[F8, F8, F8, F8, F8]
"""back (blocks, BLOCK_SUMS, pairs), front and total (BLOCK_SUMS, pairs), a and b of the latest block, work rows."""


def slope_t(x: F8, seg_age: I4, window: int, need: int, lag: int, across: bool, levels: Levels | None = None) -> F8:
    """Slope of the least-squares line through the valid values of the last `window` rows over its Newey-West standard
    error (Bartlett weights up to `lag`, no small-sample factor); NaN below `need` values, where all are equal and where
    they lie on a line within 1e-9 (TINY). `across` and `levels` as in `lines.slope`. Shape (n, pairs)."""
    out = np.empty(x.shape)
    for part, begin, rows in with_past(x, seg_age, window - 1 if across else 0, levels if across else None):
        _slope_t(part, begin, window, need, 0 if across else window - 1, lag, out[rows])
    return out


@kernel
def block_state(window: int, lag: int, p: int) -> Blocks:
    sums = (np.zeros((window - lag, BLOCK_SUMS, p)), np.zeros((BLOCK_SUMS, p)), np.zeros((BLOCK_SUMS, p)))
    return (sums[0], sums[1], sums[2], np.zeros((2, p)), np.zeros((5, p)))


@kernel
def _block(y: F8, r: int, k: float, lag: int, floor: int, shift: F8, pair: F8) -> None:
    """sum z and sum k z of rows r - lag .. r into `pair`; row r has place k."""
    cap, p = y.shape
    pair[:] = 0.0
    for i in range(lag + 1):
        if r - i >= floor:
            row, place = (r - i) % cap, k - i
            for j in range(p):
                z = y[row, j] - shift[j]
                z = z if z == z else 0.0
                pair[0, j] += z
                pair[1, j] += place * z


@kernel
def _add_block(pair: F8, m: float, before: F8, after: F8) -> None:
    """after = before + what the block adds to each sum; three sums a loop, for longer ones do not vectorise."""
    p = pair.shape[1]
    for j in range(p):
        a, b = pair[0, j], pair[1, j]
        after[BB, j] = before[BB, j] + b * b
        after[BA, j] = before[BA, j] + b * a
        after[AA, j] = before[AA, j] + a * a
    for j in range(p):
        a = pair[0, j]
        after[A0, j] = before[A0, j] + a
        after[A1, j] = before[A1, j] + m * a
        after[A2, j] = before[A2, j] + (m * m) * a
    for j in range(p):
        b = pair[1, j]
        after[B0, j] = before[B0, j] + b
        after[B1, j] = before[B1, j] + m * b
        after[B2, j] = before[B2, j] + (m * m) * b


@kernel
def _blocks_step(y: F8, r: int, age: int, window: int, lag: int, floor: int, shift: F8, blocks: Blocks) -> None:
    """Take the block that ends at row r in; `total` then covers those that lie inside the window. The anchor is set
    already."""
    back, front, total, pair, _ = blocks
    many = window - lag
    d = age % many
    if d == 0:
        front[:] = 0.0
        for q in range(1, many):
            if r - q - lag >= floor:
                _block(y, r - q, float(-q), lag, floor, shift, pair)
                _add_block(pair, -q - 0.5 * lag, back[q - 1], back[q])
            else:
                back[q] = back[q - 1]
    _block(y, r, float(d), lag, floor, shift, pair)
    _add_block(pair, d - 0.5 * lag, front, front)
    q = many - 1 - d
    for i in range(BLOCK_SUMS):
        for j in range(y.shape[1]):
            total[i, j] = front[i, j] + back[q, i, j]


@kernel
def _edges(y: F8, r: int, window: int, lag: int, shift: F8, work: F8) -> None:
    """Squares of the sums that overlap an end of the window into work[2]. work[0], work[1] : mean and slope."""
    cap, p = y.shape
    half = 0.5 * (window - 1)
    for end in range(2):
        work[3] = 0.0
        for i in range(lag):
            row, u = (r - i) % cap if end else (r - window + 1 + i) % cap, half - i if end else i - half
            for j in range(p):
                z = y[row, j] - shift[j]
                work[3, j] += u * ((z - work[0, j]) - work[1, j] * u)
                work[2, j] += work[3, j] * work[3, j]


@kernel
def slope_t_step(
    y: F8, r: int, age: int, window: int, need: int, youngest: int, lag: int, floor: int, state: State, blocks: Blocks,
    run: F8, last: F8, out: F8, row: int,
) -> None:  # fmt: skip
    """Take bar r of the ring `y` in; emit the t statistic into out[row]; see `lines.line_step`."""
    equal_run_step(y, r % len(y), run, last)
    many = window - lag
    c = position_step(y, r, age, window, many, floor, state) - 0.5 * (window - 1)
    _blocks_step(y, r, age, window, lag, floor, state[6], blocks)
    total, holes, shift, sums, work = state[2], state[5], state[6], blocks[2], blocks[4]
    p = y.shape[1]
    if age < youngest:
        for j in range(p):
            out[row, j] = np.nan
        return
    spread = float(window) * (window * window - 1) / 12.0
    for j in range(p):
        work[0, j] = total[Z, j] / window
        work[1, j] = (total[KZ, j] - c * total[Z, j]) / spread
        work[2, j] = 0.0
    if r - window + 1 >= floor:
        _edges(y, r, window, lag, shift, work)
    n1, kappa = lag + 1.0, lag * (lag + 1.0) * (lag + 2.0) / 12.0
    v2 = many * (float(many) * many - 1.0) / 12.0
    v4 = v2 * (3.0 * many * many - 7.0) / 20.0
    pure = n1 * n1 * v4 + 2.0 * n1 * kappa * v2 + kappa * kappa * many
    for j in range(p):
        lin1 = (sums[B1, j] - c * sums[B0, j]) - c * (sums[A1, j] - c * sums[A0, j])
        lin2 = (sums[B2, j] - 2.0 * c * sums[B1, j]) + c * c * sums[B0, j]
        lin2 -= c * ((sums[A2, j] - 2.0 * c * sums[A1, j]) + c * c * sums[A0, j])
        work[3, j] = lin1
        work[4, j] = n1 * lin2 + kappa * (sums[B0, j] - c * sums[A0, j])
    for j in range(p):
        a, b = work[0, j], work[1, j]
        square = (sums[BB, j] - 2.0 * c * sums[BA, j]) + c * c * sums[AA, j]
        own = a * a * (n1 * n1 * v2) + b * b * pure
        whole = ((square - 2.0 * a * n1 * work[3, j]) - 2.0 * b * work[4, j]) + own + work[2, j]
        most = (sums[BB, j] + c * c * sums[AA, j]) + own
        t = b * spread / np.sqrt(whole / n1)
        zz = total[ZZ, j] - total[Z, j] * a
        flat = (run[j] >= window) | (zz <= (TINY * TINY) * window)
        t = t if whole > CLOSE * most else np.inf
        t = np.nan if flat else t
        out[row, j] = t if holes[0, j] == 0.0 else np.inf
    for j in range(p):
        if out[row, j] == np.inf:
            many_valid = window - holes[0, j]
            ok = many_valid >= need and run[j] < many_valid
            out[row, j] = _anew(y, r, max(floor, r - window + 1), lag, j, shift[j]) if ok else np.nan


@kernel
def _anew(y: F8, r: int, first: int, lag: int, j: int, shift: float) -> float:
    """The t statistic of rows first .. r of one lane, added up afresh in two passes."""
    cap = len(y)
    start, many = first % cap, r + 1 - first
    n, k_mean, z_mean = 0.0, 0.0, 0.0
    row = start
    for i in range(many):
        z = y[row, j] - shift
        if z == z:
            n += 1.0
            k_mean += float(i)
            z_mean += z
        row = row + 1 if row + 1 < cap else 0
    k_mean, z_mean = k_mean / n, z_mean / n
    uu, uz, rest = 0.0, 0.0, 0.0
    row = start
    for i in range(many):
        z = y[row, j] - shift
        if z == z:
            u = i - k_mean
            uu += u * u
            uz += u * (z - z_mean)
            rest += z - z_mean
        row = row + 1 if row + 1 < cap else 0
    b = uz / uu
    z_mean += rest / n
    squares, errors = 0.0, 0.0
    near, at = np.zeros(lag + 1), 0
    row = start
    for i in range(many + lag):
        z = y[row, j] - shift if i < many else np.nan
        u = i - k_mean
        e = (z - z_mean) - b * u if z == z else 0.0
        errors += e * e
        near[at] = u * e
        together = 0.0
        for one in range(lag + 1):
            together += near[one]
        squares += together * together
        row = row + 1 if row + 1 < cap else 0
        at = at + 1 if at < lag else 0
    return uz / np.sqrt(squares / (lag + 1)) if errors > (TINY * TINY) * n else np.nan


@kernel
def _slope_t(y: F8, begin: int, window: int, need: int, youngest: int, lag: int, out: F8) -> None:
    """Rows `begin` .. of `y` are a segment, those before it the past it may use."""
    n, p = y.shape
    state, blocks = position_state(window, p), block_state(window, lag, p)
    run, last = np.zeros(p), np.full(p, np.nan)
    for r in range(begin):
        equal_run_step(y, r, run, last)
    for r in range(begin, n):
        slope_t_step(y, r, r - begin, window, need, youngest, lag, 0, state, blocks, run, last, out, r - begin)
