"""Least-squares parabolas taken apart: what level, slope and bend say of the latest value, and how sure they are.

P0 = 1, P1 and P2 are the polynomials orthogonal over the valid bars of the window (on a full one the discrete Legendre
polynomials), so that the coefficient of P0 is the mean and no term changes when another is left out. Each row is
worked out from its own window alone, in two passes: the second takes the residuals themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.positions import Levels, clear, with_past

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Terms = tuple[F8, F8, F8, F8, F8, F8, F8, F8]
"""What is away from the mean, first-order term, second-order term, residual, R^2, root mean square error, t statistic
of the second-order coefficient, sample deviation; shapes (n, pairs)."""

SHIFT, N, MOVED, Z, KZ, KKZ, U1, U2, U3, U4 = range(10)
MIDDLE, MEAN_UU, ALPHA, PP, MEAN, FIRST, SECOND, REST, SQUARES, NEAR, WHOLE = range(10, 21)
WORK = 21
"""Work rows: shift, valid values, those that differ from the shift, sums of z, u z, u^2 z, powers of u; basis and
coefficients; squares left and about the mean; sum of the latest L + 1 products u e, and of the squares of such sums."""


def parabola_terms(
    x: F8, seg_age: I4, window: int, need: int, lag: int, across: bool, levels: Levels | None = None
) -> Terms:
    """Terms, at the current bar, of the parabola through the valid values of the last `window` rows; `across` and
    `levels` as in `lines.slope`. The errors' lag of the t statistic (Newey & West 1987, Bartlett) is `lag`. NaN below
    `need` values; in flat windows all terms are 0, R^2 and t NaN."""
    empty = np.empty(x.shape)
    out = (empty, *(np.empty(x.shape) for _ in range(7)))
    for part, begin, rows in with_past(x, seg_age, window - 1 if across else 0, levels if across else None):
        there = (out[0][rows], out[1][rows], out[2][rows], out[3][rows], out[4][rows], out[5][rows], out[6][rows],
                 out[7][rows])  # fmt: skip
        _parabola_terms(part, begin, window, need, 0 if across else window - 1, lag, there)
    return out  # type: ignore[return-value]


@kernel
def _sums(y: F8, r: int, first: int, half: float, work: F8) -> None:
    """Counts and sums of rows first .. r; `work[SHIFT]` becomes the latest value."""
    cap, p = y.shape
    clear(work)
    for j in range(p):
        work[SHIFT, j] = y[r % cap, j]
    missing = 0
    for j in range(p):
        missing += 1 if work[SHIFT, j] != work[SHIFT, j] else 0
    q = r - 1
    while missing > 0 and q >= first:
        missing = 0
        for j in range(p):
            work[SHIFT, j] = work[SHIFT, j] if work[SHIFT, j] == work[SHIFT, j] else y[q % cap, j]
            missing += 1 if work[SHIFT, j] != work[SHIFT, j] else 0
        q -= 1
    row = first % cap
    for k in range(first, r + 1):
        u = (k - r) + half
        uu = u * u
        for j in range(p):
            z = y[row, j] - work[SHIFT, j]
            valid = z == z
            z = z if valid else 0.0
            work[N, j] += 1.0 if valid else 0.0
            work[MOVED, j] += 1.0 if z != 0.0 else 0.0
            work[Z, j] += z
            work[KZ, j] += u * z
            work[KKZ, j] += uu * z
        row = row + 1 if row + 1 < cap else 0


@kernel
def _places(y: F8, r: int, first: int, window: int, half: float, work: F8) -> None:
    """Sums of the powers of the places of valid values."""
    cap, p = y.shape
    holes = 0
    for j in range(p):
        holes += 1 if work[N, j] < window else 0
    if holes == 0:
        full2 = float(window) * (window * window - 1) / 12.0
        full4 = full2 * (3.0 * window * window - 7.0) / 20.0
        for j in range(p):
            work[U2, j], work[U4, j] = full2, full4
        return
    row = first % cap
    for k in range(first, r + 1):
        u = (k - r) + half
        uu = u * u
        for j in range(p):
            one = 1.0 if y[row, j] == y[row, j] else 0.0
            work[U1, j] += one * u
            work[U2, j] += one * uu
            work[U3, j] += one * (uu * u)
            work[U4, j] += one * (uu * uu)
        row = row + 1 if row + 1 < cap else 0


@kernel
def _fit(work: F8) -> None:
    """Basis and coefficients from the sums."""
    for j in range(work.shape[1]):
        n = work[N, j]
        middle, mean_uu = work[U1, j] / n, work[U2, j] / n
        uu = work[U2, j] - work[U1, j] * middle
        alpha = (work[U3, j] - middle * work[U2, j]) / uu
        pp = (work[U4, j] - work[U2, j] * mean_uu) - alpha * alpha * uu
        one = work[KZ, j] - middle * work[Z, j]
        two = (work[KKZ, j] - alpha * one) - mean_uu * work[Z, j]
        work[MIDDLE, j], work[MEAN_UU, j], work[ALPHA, j], work[PP, j] = middle, mean_uu, alpha, pp
        work[MEAN, j], work[FIRST, j], work[SECOND, j] = work[Z, j] / n, one / uu, two / pp


@kernel
def _errors(y: F8, r: int, first: int, half: float, lag: int, near: F8, work: F8) -> None:
    """Squares that are left, those about the mean, and the long-run sum of P2 e. near : ring of lag + 1 rows."""
    cap, p = y.shape
    clear(near)
    row, slot = first % cap, 0
    for k in range(first, r + 1 + lag):
        u = (k - r) + half
        inside = k <= r
        for j in range(p):
            z = y[row, j] - work[SHIFT, j]
            valid = (z == z) & inside
            one = u - work[MIDDLE, j]
            two = (u * u - work[ALPHA, j] * one) - work[MEAN_UU, j]
            away = z - work[MEAN, j]
            e = (away - work[FIRST, j] * one) - work[SECOND, j] * two
            e = e if valid else 0.0
            away = away if valid else 0.0
            product = two * e
            together = (work[NEAR, j] + product) - near[slot, j]
            near[slot, j] = product
            work[NEAR, j] = together
            work[WHOLE, j] += together * together
            work[REST, j] += e * e
            work[SQUARES, j] += away * away
        row = row + 1 if row + 1 < cap else 0
        slot = slot + 1 if slot < lag else 0


@kernel
def terms_row(
    y: F8, r: int, window: int, lag: int, floor: int, enough: float, near: F8, work: F8, out: Terms, row: int
) -> None:
    """The terms of the window that ends at row r of the ring `y` into row `row` of `out`; rows before `floor` have no
    value. near (lag + 1, pairs), work (WORK, pairs)."""
    p, half = y.shape[1], 0.5 * (window - 1)
    if enough > window:
        for j in range(p):
            out[0][row, j], out[1][row, j], out[2][row, j], out[3][row, j] = np.nan, np.nan, np.nan, np.nan
            out[4][row, j], out[5][row, j], out[6][row, j], out[7][row, j] = np.nan, np.nan, np.nan, np.nan
        return
    first = max(floor, r - window + 1)
    _sums(y, r, first, half, work)
    _places(y, r, first, window, half, work)
    _fit(work)
    _errors(y, r, first, half, lag, near, work)
    for j in range(p):
        n, moved = work[N, j], work[MOVED, j] > 0.0
        ok = n >= enough
        away = y[r % len(y), j] - work[SHIFT, j] - work[MEAN, j]
        one = half - work[MIDDLE, j]
        two = (half * half - work[ALPHA, j] * one) - work[MEAN_UU, j]
        one, two = work[FIRST, j] * one, work[SECOND, j] * two
        out[0][row, j] = away if ok else np.nan
        out[1][row, j] = (one if moved else 0.0) if ok else np.nan
        out[2][row, j] = (two if moved else 0.0) if ok else np.nan
        out[3][row, j] = (away - one) - two if ok else np.nan
    for j in range(p):
        n, rest, squares = work[N, j], work[REST, j], work[SQUARES, j]
        ok, least = n >= enough, (TINY * TINY) * n
        moved = work[MOVED, j] > 0.0
        share = 1.0 - rest / squares
        share = share if share > 0.0 else 0.0
        out[4][row, j] = share if ok & moved & (squares > least) else np.nan
        out[5][row, j] = (np.sqrt(rest / (n - 3.0)) if moved else 0.0) if ok else np.nan
        t = work[SECOND, j] * work[PP, j] / np.sqrt(work[WHOLE, j] / (lag + 1.0))
        out[6][row, j] = t if ok & moved & (rest > least) else np.nan
        out[7][row, j] = (np.sqrt(squares / (n - 1.0)) if moved else 0.0) if ok else np.nan


@kernel
def _parabola_terms(y: F8, begin: int, window: int, need: int, youngest: int, lag: int, out: Terms) -> None:
    """Rows `begin` .. of `y` are a segment, those before it the past it may use."""
    n, p = y.shape
    near, work = np.zeros((lag + 1, p)), np.zeros((WORK, p))
    for r in range(begin, n):
        enough = float(need) if r - begin >= youngest else np.inf
        terms_row(y, r, window, lag, 0, enough, near, work, out, r - begin)
