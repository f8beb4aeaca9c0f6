"""Singular spectrum analysis of windows of 120 values inside a segment, made anew where seg_age % 5 == 0.

The three largest eigenvalues of the 40 x 40 matrix of lagged products and their vectors: Householder's tridiagonal
form, bisection, inverse iteration (Golub & Van Loan 2013, 8.3-8.4). A window is analysed from its own values, so that
nothing of an older bar can linger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.tridiagonal import reflect

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

LENGTH, LAGS = 120, 40
COLUMNS = LENGTH - LAGS + 1
EVERY = 5
"""Bars between two analyses."""
KEPT = 3
TAIL = 10
"""Bars over which what is left is measured."""
HALVINGS, ITERATIONS = 56, 3
NOTHING = 1e-13
"""A sum of eigenvalues below this share of all of them is rounding."""

TREND, OSCILLATION, NOISE, TREND_SHARE, OSCILLATION_SHARE, NOISE_SIZE, SEPARABLE, LEFT = range(8)
MEASURES = 8

Rooms = tuple[F8, F8, F8, F8, F8, F8]


def rooms() -> Rooms:
    """Scratch: matrix, reflections, tridiagonal work, vectors, series, components."""
    return (np.empty((LAGS, LAGS)), np.zeros((LAGS, LAGS)), np.empty((8, LAGS)), np.empty((KEPT, LAGS)),
            np.empty(LENGTH), np.empty((KEPT + 1, LENGTH)))  # fmt: skip


@kernel
def _products(z: F8, a: F8) -> None:
    """a[i, k] = sum of z[i + t] z[k + t] over the 81 columns of the trajectory matrix."""
    for k in range(LAGS):
        total = 0.0
        for t in range(COLUMNS):
            total += z[t] * z[k + t]
        a[0, k], a[k, 0] = total, total
    for i in range(1, LAGS):
        for k in range(i, LAGS):
            v = (a[i - 1, k - 1] - z[i - 1] * z[k - 1]) + z[i - 1 + COLUMNS] * z[k - 1 + COLUMNS]
            a[i, k], a[k, i] = v, v


@kernel
def _tridiagonal(a: F8, vectors: F8, work: F8) -> None:
    """The matrix's tridiagonal form into its lower triangle, the reflections that made it into rows of `vectors`."""
    for k in range(LAGS - 2):
        for i in range(LAGS):
            work[0, i] = 0.0
        reflect(a, LAGS, k, work)
        for i in range(LAGS):
            vectors[k, i] = work[0, i] if i > k else 0.0


@kernel
def _largest(a: F8, values: F8, work: F8) -> None:
    """The KEPT largest eigenvalues of the tridiagonal form, all bisected in one go. work : rows 2 .. 4."""
    top = 0.0
    for i in range(LAGS):
        left = abs(a[i, i - 1]) if i > 0 else 0.0
        right = abs(a[i + 1, i]) if i < LAGS - 1 else 0.0
        top = max(top, a[i, i] + left + right)
    low, high, pivot = work[2], work[3], work[4]
    for k in range(KEPT):
        low[k], high[k] = 0.0, top
    for _ in range(HALVINGS):
        for k in range(KEPT):
            values[k] = 0.5 * (low[k] + high[k])
            pivot[k] = a[0, 0] - values[k]
            work[5, k] = 1.0 if pivot[k] >= 0.0 else 0.0
        for i in range(1, LAGS):
            square = a[i, i - 1] * a[i, i - 1]
            for k in range(KEPT):
                pivot[k] = (a[i, i] - values[k]) - square / (pivot[k] if pivot[k] != 0.0 else NOTHING * top)
                work[5, k] += 1.0 if pivot[k] >= 0.0 else 0.0
        for k in range(KEPT):  # how many are not below
            more = work[5, k] > k
            low[k] = values[k] if more else low[k]
            high[k] = high[k] if more else values[k]
    for k in range(KEPT):
        values[k] = 0.5 * (low[k] + high[k])


@kernel
def _solve(a: F8, value: float, floor: float, x: F8, work: F8) -> None:
    """x becomes (T - value)^-1 x by elimination with exchanges of rows; a pivot of 0 counts as `floor`.
    work : rows 2 .. 4 hold the upper triangle."""
    one, two, three = work[2], work[3], work[4]
    n = LAGS
    d, e = a[0, 0] - value, a[1, 0]
    f = 0.0
    for i in range(n - 1):
        below, after = a[i + 1, i], a[i + 1, i + 1] - value
        beyond = a[i + 2, i + 1] if i + 2 < n else 0.0
        if abs(d) >= abs(below):
            d = d if d != 0.0 else floor
            m = below / d
            one[i], two[i], three[i] = d, e, f
            d, e, f = after - m * e, beyond - m * f, 0.0
            x[i + 1] -= m * x[i]
        else:
            m = d / below
            one[i], two[i], three[i] = below, after, beyond
            d, e, f = e - m * after, f - m * beyond, 0.0
            x[i], x[i + 1] = x[i + 1], x[i] - m * x[i + 1]
    one[n - 1] = d if d != 0.0 else floor
    x[n - 1] = x[n - 1] / one[n - 1]
    x[n - 2] = (x[n - 2] - two[n - 2] * x[n - 1]) / one[n - 2]
    for i in range(n - 3, -1, -1):
        x[i] = ((x[i] - two[i] * x[i + 1]) - three[i] * x[i + 2]) / one[i]


@kernel
def _normalise(x: F8) -> None:
    top = 0.0
    for i in range(LAGS):
        top = max(top, abs(x[i]))
    squares = 0.0
    for i in range(LAGS):
        x[i] = x[i] / top
        squares += x[i] * x[i]
    size = np.sqrt(squares)
    for i in range(LAGS):
        x[i] = x[i] / size


@kernel
def _vectors(a: F8, reflections: F8, values: F8, vectors: F8, work: F8) -> None:
    """Unit eigenvectors of the matrix for `values`, each orthogonal to those before it."""
    floor = 2e-16 * values[0]
    for k in range(KEPT):
        x = vectors[k]
        for i in range(LAGS):
            x[i] = 1.0 + 0.01 * i  # not orthogonal to any vector but by chance
        for _ in range(ITERATIONS):
            _solve(a, values[k], floor, x, work)
            _normalise(x)
            for m in range(k):
                dot = 0.0
                for i in range(LAGS):
                    dot += vectors[m, i] * x[i]
                for i in range(LAGS):
                    x[i] -= dot * vectors[m, i]
            _normalise(x)
    for m in range(LAGS - 3, -1, -1):
        squares = 0.0
        for i in range(m + 1, LAGS):
            squares += reflections[m, i] * reflections[m, i]
        if squares > 0.0:
            for k in range(KEPT):
                dot = 0.0
                for i in range(m + 1, LAGS):
                    dot += reflections[m, i] * vectors[k, i]
                dot = 2.0 * dot / squares
                for i in range(m + 1, LAGS):
                    vectors[k, i] -= dot * reflections[m, i]


@kernel
def _component(z: F8, u: F8, factor: F8, out: F8) -> None:
    """Diagonal means of u u' X, X the trajectory matrix of z."""
    for t in range(COLUMNS):
        factor[t] = 0.0
    for i in range(LAGS):
        for t in range(COLUMNS):
            factor[t] += u[i] * z[i + t]
    for t in range(LENGTH):
        out[t] = 0.0
    for i in range(LAGS):
        for t in range(COLUMNS):
            out[i + t] += u[i] * factor[t]
    for t in range(LENGTH):
        out[t] = out[t] / min(t + 1, LENGTH - t, LAGS)


@kernel
def _measure(z: F8, parts: F8, values: F8, trace: float, out: F8, j: int) -> None:
    """Lane j of out (MEASURES, pairs) from the series and its three components."""
    both, one, two, left, squares = 0.0, 0.0, 0.0, 0.0, 0.0
    for t in range(LENGTH):
        weight = min(t + 1, LENGTH - t, LAGS)
        a, b = parts[0, t], parts[1, t] + parts[2, t]
        both += weight * (a * b)
        one += weight * (a * a)
        two += weight * (b * b)
        squares += z[t] * z[t]
        gap = (z[t] - a) - b
        left += gap * gap if t >= LENGTH - TAIL else 0.0
    last = LENGTH - 1
    out[TREND, j] = parts[0, last]
    out[OSCILLATION, j] = parts[1, last] + parts[2, last]
    out[NOISE, j] = (z[last] - out[TREND, j]) - out[OSCILLATION, j]
    out[TREND_SHARE, j] = values[0] / trace
    out[OSCILLATION_SHARE, j] = (values[1] + values[2]) / trace
    rest = ((trace - values[0]) - values[1]) - values[2]
    some = rest > NOTHING * trace
    out[NOISE_SIZE, j] = log_ratio(rest if some else 1.0, float(LENGTH * LAGS)) if some else np.nan
    known = (one > NOTHING * trace) & (two > NOTHING * trace)
    out[SEPARABLE, j] = 1.0 - abs(both) / np.sqrt(one * two) if known else np.nan
    out[LEFT, j] = np.sqrt(left / TAIL) / np.sqrt(squares / (LENGTH - 1.0))


@kernel
def _analyse(x: F8, r: int, j: int, scratch: Rooms, out: F8) -> None:
    """Lane j of out (MEASURES, pairs): the window of lane j that ends at row r of the ring `x`."""
    a, reflections, work, vectors, z, parts = scratch
    cap = len(x)
    base, low, high = x[r % cap, j], np.inf, -np.inf
    holes, total = 0, 0.0
    for t in range(LENGTH):
        v = x[(r - LENGTH + 1 + t) % cap, j]
        holes += 1 if v != v else 0
        low, high = v if v < low else low, v if v > high else high
        z[t] = v - base
        total += z[t]
    for k in range(MEASURES):
        out[k, j] = np.nan
    if holes > 0 or not high - low > TINY:
        return
    for t in range(LENGTH):
        z[t] -= total / LENGTH
    _products(z, a)
    trace = 0.0
    for i in range(LAGS):
        trace += a[i, i]
    _tridiagonal(a, reflections, work)
    _largest(a, work[6], work)
    _vectors(a, reflections, work[6], vectors, work)
    for k in range(KEPT):
        _component(z, vectors[k], parts[KEPT], parts[k])
    _measure(z, parts, work[6], trace, out, j)


@kernel
def components_from(x: F8, seg_age: I4, start: int, scratch: Rooms, held: F8, out: F8) -> None:
    """:func:`components` of rows `start` .. of x; `out` has a row for each of these. held (MEASURES, pairs) : what
    the last analysis found."""
    p = x.shape[1]
    for r in range(start, len(x)):
        if seg_age[r] % EVERY == 0:
            for j in range(p):
                if seg_age[r] >= LENGTH - 1:
                    _analyse(x, r, j, scratch, held)
                else:
                    for k in range(MEASURES):
                        held[k, j] = np.nan
        for k in range(MEASURES):
            for j in range(p):
                out[k, r - start, j] = held[k, j]


def components(x: F8, seg_age: I4) -> tuple[F8, ...]:
    """Of the last 120 rows of the segment about their mean, L = 40, component 1 the TREND, 2 and 3 the OSCILLATION, the
    rest NOISE (Golyandina et al. 2001): their last values, shares of the variance, NOISE_SIZE = ln of the other
    eigenvalues' sum / (120 x 40), SEPARABLE = 1 - abs(w-correlation), LEFT = RMS of the rest over 10 bars / sample
    deviation. Made where seg_age % 5 == 0, held until the next. NaN where a value is missing and where all are equal.
    Shapes (n, pairs)."""
    out = np.empty((MEASURES, *x.shape))
    components_from(x, seg_age, 0, rooms(), np.full((MEASURES, x.shape[1]), np.nan), out)
    return tuple(out)
