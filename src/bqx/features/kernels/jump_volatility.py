"""Volatility with and without jumps, from changes and products of adjacent changes inside a segment.

Realised variance (Andersen, Bollerslev, Diebold & Labys 2003) takes jumps in; bipower variation and tripower quarticity
(Barndorff-Nielsen & Shephard 2004) and the median of three (Andersen, Dobrev & Schaumburg 2012) do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import cbrt, log_ratio
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.sums import RESTART
from bqx.features.kernels.totals import COUNT, SMALL, TOTAL, TOTAL_ROWS, mean, totals_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

BIPOWER = 1.5707963267948966
"""mu_1 ** -2 = pi / 2, mu_1 the mean size of a standard normal variable."""
TRIPOWER = 1.7434720745319845
"""mu_{4/3} ** -3, mu_{4/3} = 2 ** (2/3) gamma(7/6) / gamma(1/2)."""
MEDIAN = 1.4193583020224414
"""pi / (6 - 4 sqrt 3 + pi)."""
SPREAD = 0.608993753862133
"""pi ** 2 / 4 + pi - 5: asymptotic variance of n ** (1/2) (1 - BV / RV) without jumps."""
SQUARE, SIGNED, CUBE, PAIR, MIDDLE, TRIPLE, MOVED = range(7)
JUMP_TERMS = 7
"""Series: x^2, x|x|, x^3; |x x'| of two adjacent changes; of three the square of the median size, the product
of sizes to the 4/3, and 1 where it is not 0."""

REALIZED, BIPOWER_ROOT, MEDIAN_ROOT, QUARTICITY, JUMP_Z, JUMP_SHARE, SIGNED_JUMP, SKEW, LOG = range(9)
JUMP_MEASURES = 9
"""Outputs of :func:`jump_measures`; LOG is the logarithm of the realised variance a minute."""

EACH, JUMP_ROWS = TOTAL_ROWS, TOTAL_ROWS + 1
"""Row of a state that holds RV / n (of SQUARE), BV / n (of PAIR) and TQ / n^2 (of TRIPLE) between two loops."""


@kernel
def _change(change: F8, close: F8, now: int, before: int, inside: bool, j: int) -> float:
    """x of row `now`: its change since the row before, if both have a price; rounding of equal prices is 0."""
    x = change[now, j]
    x = 0.0 if abs(x) <= TINY else x
    return x if (close[before, j] == close[before, j]) & inside else np.nan


@kernel
def jump_terms_row(change: F8, close: F8, r: int, seg_age: int, terms: F8, row: int) -> None:
    """Terms of bar r, from rings of at least 4 rows, into row `row` of `terms` (rows, JUMP_TERMS,
    pairs)."""
    cap, p = close.shape
    now, one, two, three = r % cap, (r - 1) % cap, (r - 2) % cap, (r - 3) % cap
    for j in range(p):
        x = _change(change, close, now, one, seg_age >= 1, j)
        terms[row, SQUARE, j] = x * x
        terms[row, SIGNED, j] = x * abs(x)
        terms[row, CUBE, j] = (x * x) * x
    for j in range(p):
        a = abs(_change(change, close, now, one, seg_age >= 1, j))
        b = abs(_change(change, close, one, two, seg_age >= 2, j))
        terms[row, PAIR, j] = a * b
    for j in range(p):
        a = abs(_change(change, close, now, one, seg_age >= 1, j))
        b = abs(_change(change, close, one, two, seg_age >= 2, j))
        c = abs(_change(change, close, two, three, seg_age >= 3, j))
        product = (a * b) * c
        low, high = (a if a < b else b), (b if a < b else a)
        middle = high if c > high else c
        middle = low if c < low else middle
        valid = product == product
        terms[row, MIDDLE, j] = middle * middle if valid else np.nan
        terms[row, MOVED, j] = (1.0 if product > 0.0 else 0.0) if valid else np.nan
        terms[row, TRIPLE, j] = product
    for j in range(p):
        product = terms[row, TRIPLE, j]
        terms[row, TRIPLE, j] = (
            cbrt(product) * product
        )  # ** (4/3): cbrt of the fourth power rounds once more and loses range


def jump_terms(change: F8, close: F8, seg_age: I4) -> F8:
    """:func:`jump_terms_row` of all bars; change, close (n, pairs). Shape (n, JUMP_TERMS, pairs)."""
    out = np.empty((len(close), JUMP_TERMS, close.shape[1]))
    _jump_terms(change, close, seg_age, out)
    return out


@kernel
def _jump_terms(change: F8, close: F8, seg_age: I4, out: F8) -> None:
    for r in range(len(close)):
        jump_terms_row(change, close, r, seg_age[r], out, r)


@kernel
def jump_step(
    terms: F8, r: int, seg_age: int, window: int, need: int, state: F8, out: tuple[F8, ...], row: int
) -> None:  # fmt: skip
    """Take bar r of the ring `terms` in; emit the measures of the last `window` changes into row `row`; an output
    without rows is not wanted. state : (JUMP_ROWS, JUMP_TERMS, pairs)."""
    p = terms.shape[2]
    floor, restart = r - seg_age, seg_age % RESTART == 0
    totals_step(terms, r, window, floor, restart, state, 0, PAIR)
    totals_step(terms, r, window - 1, floor, restart, state, PAIR, MIDDLE)
    totals_step(terms, r, window - 2, floor, restart, state, MIDDLE, JUMP_TERMS)
    enough = float(need) if seg_age >= window - 1 else np.inf
    for j in range(p):
        v = mean(state, SQUARE, SQUARE, j)
        v = v if v > SMALL else 0.0
        state[EACH, SQUARE, j] = v if state[COUNT, SQUARE, j] >= enough else np.nan
    for j in range(p):
        b = BIPOWER * mean(state, PAIR, PAIR, j)
        b = b if b > SMALL else 0.0
        state[EACH, PAIR, j] = b if state[COUNT, SQUARE, j] >= enough else np.nan
    for j in range(p):
        moved = (state[TOTAL, MOVED, j] > 0.0) & (state[COUNT, SQUARE, j] >= enough)
        q = TRIPOWER * mean(state, TRIPLE, MIDDLE, j)
        state[EACH, TRIPLE, j] = q if moved else np.nan
    _roots(state, p, out[REALIZED], out[BIPOWER_ROOT], out[MEDIAN_ROOT], row)
    _jumps(state, p, float(window), out[JUMP_Z], out[JUMP_SHARE], row)
    _signs(state, p, out[SIGNED_JUMP], out[SKEW], row)
    _logs(state, p, float(window), out[QUARTICITY], out[LOG], row)


@kernel
def _roots(state: F8, p: int, realized: F8, bipower: F8, median: F8, row: int) -> None:
    if len(realized):
        for j in range(p):
            realized[row, j] = np.sqrt(state[EACH, SQUARE, j])
    if len(bipower):
        for j in range(p):
            bipower[row, j] = np.sqrt(state[EACH, PAIR, j])
    if len(median):
        for j in range(p):
            m = MEDIAN * mean(state, MIDDLE, MIDDLE, j)
            m = m if m > SMALL else 0.0
            median[row, j] = np.sqrt(m) if state[EACH, SQUARE, j] == state[EACH, SQUARE, j] else np.nan


@kernel
def _jumps(state: F8, p: int, n: float, z: F8, share: F8, row: int) -> None:
    if len(z):
        for j in range(p):
            v, b = state[EACH, SQUARE, j], state[EACH, PAIR, j]
            # where no three adjacent changes moved, TQ is 0 and does not widen the spread
            q = state[EACH, TRIPLE, j] / (b * b)
            q = q if q > 1.0 else 1.0
            score = ((v - b) / v) / np.sqrt(SPREAD / n * q)
            z[row, j] = score if (v > 0.0) & (b > 0.0) else np.nan
    if len(share):
        for j in range(p):
            v, b = state[EACH, SQUARE, j], state[EACH, PAIR, j]
            part = (v - b) / v
            part = part if part > 0.0 else 0.0
            share[row, j] = part if v > 0.0 else np.nan


@kernel
def _signs(state: F8, p: int, signed: F8, skew: F8, row: int) -> None:
    if len(signed):
        for j in range(p):
            v = state[EACH, SQUARE, j]
            s = mean(state, SIGNED, SQUARE, j) / v
            s = s if s < 1.0 else 1.0
            s = s if s > -1.0 else -1.0
            signed[row, j] = s if v > 0.0 else np.nan
    if len(skew):
        for j in range(p):
            v = state[EACH, SQUARE, j]
            s = mean(state, CUBE, SQUARE, j) / (v * np.sqrt(v))
            skew[row, j] = s if v > 0.0 else np.nan


@kernel
def _logs(state: F8, p: int, n: float, quarticity: F8, log: F8, row: int) -> None:
    if len(quarticity):
        for j in range(p):
            q = (n * n) * state[EACH, TRIPLE, j]
            quarticity[row, j] = log_ratio(q, 1.0) if q > 0.0 else np.nan
    if len(log):
        for j in range(p):
            v = state[EACH, SQUARE, j]
            log[row, j] = log_ratio(v, 1.0) if v > 0.0 else np.nan


def jump_measures(terms: F8, seg_age: I4, window: int, need: int, wanted: frozenset[int]) -> tuple[F8, ...]:
    """Measures of the last `window` changes of the segment, JUMP_MEASURES arrays (n, pairs), those not `wanted`
    (0, pairs); NaN below `need` valid changes. Roots are in bps per square root of a minute, QUARTICITY is ln TQ of
    the whole window (n = window); means are over the valid terms, so a hole does not lower them."""
    n, _, p = terms.shape
    out = tuple(np.empty((n if k in wanted else 0, p)) for k in range(JUMP_MEASURES))
    _jump_measures(terms, seg_age, window, need, out)
    return out


@kernel
def _jump_measures(terms: F8, seg_age: I4, window: int, need: int, out: tuple[F8, ...]) -> None:
    state = np.zeros((JUMP_ROWS, JUMP_TERMS, terms.shape[2]))
    for r in range(len(terms)):
        jump_step(terms, r, seg_age[r], window, need, state, out, r)
