"""Least-squares parabolas over windows of a segment, on polynomials orthogonal over the valid bars.

P0 = 1, P1 = u - mean(u), P2 = u^2 - alpha P1 - mean(u^2) with u the place less the window's centre: on a full window
the discrete Legendre (Gram) polynomials, where slope and curvature estimates are uncorrelated; with bars missing, the
same made orthogonal over those that are there. The fit does not depend on the basis, its rounding does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.positions import KKZ, KZ, ZZ, State, Z, position_state, position_step, with_past
from bqx.features.kernels.sums import equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Out = tuple[F8, F8, F8, F8]

CLOSE = 1e-2
"""Where less than this share of the squares is left, the residuals are worked out one by one."""

MIDDLE, MEAN_UU, ALPHA, UU, PP, MEAN, FIRST, SECOND, REST, SQUARES = range(10)
"""Work rows: mean of u, mean of u^2, alpha, sums of P1^2 and P2^2, the three coefficients, the squares that are left
and those about the mean."""
WORK = 10


def parabola(x: F8, seg_age: I4, window: int, need: int) -> Out:
    """Of the least-squares parabola through the valid values of the last `window` rows of the segment: its second
    derivative per bar^2; R^2 less that of the line; bars from now to its vertex, at most +-window, NaN where the t
    statistic of the second coefficient is below 1; and the current residual over the root mean square of residuals. NaN
    below `need` values; the last three also in flat windows, where the curvature is 0. Shapes (n, pairs)."""
    out = (np.empty(x.shape), np.empty(x.shape), np.empty(x.shape), np.empty(x.shape))
    for part, _, rows in with_past(x, seg_age, 0, None):
        _parabola(part, window, need, (out[0][rows], out[1][rows], out[2][rows], out[3][rows]))
    return out


@kernel
def _fit(c: float, window: int, total: F8, holes: F8, work: F8) -> None:
    """Basis and coefficients of every lane. c : place of the window's centre."""
    full2 = float(window) * (window * window - 1) / 12.0
    full4 = full2 * (3.0 * window * window - 7.0) / 20.0
    c2 = c * c
    for j in range(total.shape[1]):
        h0, h1, h2, h3, h4 = holes[0, j], holes[1, j], holes[2, j], holes[3, j], holes[4, j]
        n = window - h0
        u1 = c * h0 - h1
        u2 = full2 - ((h2 - 2.0 * c * h1) + c2 * h0)
        u3 = ((c2 * c * h0 - 3.0 * c2 * h1) + 3.0 * c * h2) - h3
        u4 = full4 - (((h4 - 4.0 * c * h3) + 6.0 * c2 * h2) - 4.0 * c2 * c * h1 + c2 * c2 * h0)
        middle, mean_uu = u1 / n, u2 / n
        uu = u2 - u1 * middle
        alpha = (u3 - middle * u2) / uu
        work[MIDDLE, j], work[MEAN_UU, j], work[ALPHA, j] = middle, mean_uu, alpha
        work[UU, j], work[PP, j] = uu, (u4 - u2 * mean_uu) - alpha * alpha * uu
    for j in range(total.shape[1]):
        n, z = window - holes[0, j], total[Z, j]
        mean = z / n
        kz, uuz = total[KZ, j] - c * z, (total[KKZ, j] - 2.0 * c * total[KZ, j]) + c2 * z
        one = kz - work[MIDDLE, j] * z
        two = (uuz - work[ALPHA, j] * one) - work[MEAN_UU, j] * z
        squares = total[ZZ, j] - z * mean
        work[MEAN, j], work[FIRST, j], work[SECOND, j] = mean, one / work[UU, j], two / work[PP, j]
        work[SQUARES, j] = squares
        work[REST, j] = (squares - one * (one / work[UU, j])) - two * (two / work[PP, j])


@kernel
def _refine(y: F8, r: int, window: int, j: int, n: float, shift: float, work: F8) -> None:
    """Coefficients and the squares that are left from the residuals themselves, one lane."""
    cap = len(y)
    half = 0.5 * (window - 1)
    for again in range(2):
        a, b, d, rest = 0.0, 0.0, 0.0, 0.0
        row = (r - window + 1) % cap
        for i in range(window):
            z = y[row, j] - shift
            if z == z:
                u = i - half
                one = u - work[MIDDLE, j]
                two = (u * u - work[ALPHA, j] * one) - work[MEAN_UU, j]
                e = ((z - work[MEAN, j]) - work[FIRST, j] * one) - work[SECOND, j] * two
                a += e
                b += one * e
                d += two * e
                rest += e * e
            row = row + 1 if row + 1 < cap else 0
        if again == 0:
            work[MEAN, j] += a / n
            work[FIRST, j] += b / work[UU, j]
            work[SECOND, j] += d / work[PP, j]
        else:
            work[REST, j] = rest


@kernel
def parabola_step(
    y: F8, r: int, age: int, window: int, need: int, state: State, work: F8, run: F8, last: F8, out: Out, row: int
) -> None:
    """Take bar r of the ring `y`, `age` bars into its segment, in; emit into row `row` of the four outputs."""
    equal_run_step(y, r % len(y), run, last)
    c = position_step(y, r, age, window, window, r - age, state) - 0.5 * (window - 1)
    total, holes, shift = state[2], state[5], state[6]
    p, now = y.shape[1], r % len(y)
    if age < window - 1:
        for j in range(p):
            out[0][row, j], out[1][row, j], out[2][row, j], out[3][row, j] = np.nan, np.nan, np.nan, np.nan
        return
    _fit(c, window, total, holes, work)
    for j in range(p):
        n = window - holes[0, j]
        if n >= need and run[j] < n and work[REST, j] < CLOSE * work[SQUARES, j]:
            _refine(y, r, window, j, n, shift[j], work)
    for j in range(p):
        n = window - holes[0, j]
        two = 0.0 if run[j] >= n else 2.0 * work[SECOND, j]
        gain = work[SECOND, j] * work[SECOND, j] * work[PP, j] / work[SQUARES, j]
        gain = gain if gain < 1.0 else 1.0
        varied = (n >= need) & (run[j] < n) & (work[SQUARES, j] > (TINY * TINY) * n)
        out[0][row, j] = two if n >= need else np.nan
        out[1][row, j] = gain if varied else np.nan
    half, reach = 0.5 * (window - 1), float(window)
    for j in range(p):
        n = window - holes[0, j]
        varied = (n >= need) & (run[j] < n) & (work[SQUARES, j] > (TINY * TINY) * n)
        d = work[SECOND, j]
        explained = d * d * work[PP, j] * (n - 3.0)
        apex = 0.5 * (work[ALPHA, j] - work[FIRST, j] / d) - half
        apex = apex if apex < reach else reach
        apex = apex if apex > -reach else -reach
        out[2][row, j] = apex if varied & (explained >= work[REST, j]) & (d != 0.0) else np.nan
    for j in range(p):
        n = window - holes[0, j]
        one = half - work[MIDDLE, j]
        two = (half * half - work[ALPHA, j] * one) - work[MEAN_UU, j]
        e = (((y[now, j] - shift[j]) - work[MEAN, j]) - work[FIRST, j] * one) - work[SECOND, j] * two
        apart = (n >= need) & (run[j] < n) & (work[REST, j] > (TINY * TINY) * n)
        out[3][row, j] = e / np.sqrt(work[REST, j] / n) if apart else np.nan


@kernel
def _parabola(y: F8, window: int, need: int, out: Out) -> None:
    """All rows of one segment."""
    n, p = y.shape
    state, work, run, last = position_state(window, p), np.zeros((WORK, p)), np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        parabola_step(y, r, r, window, need, state, work, run, last, out, r)
