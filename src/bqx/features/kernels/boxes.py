"""Squared error of straight lines fitted to all boxes of n values, from boxes of 1, 2, 4 ... put together.

Two neighbouring boxes give the moments of the whole from their means alone (Chan, Golub & LeVeque 1983), so that no
sum runs along the series: a box's bits depend on its values only, and price levels cost no digits. One pair at a time,
loops along time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]

MEAN, SQUARE, CROSS = 0, 1, 2
"""Moments of the box that ends in a row: mean of y, sum of (y - mean)^2, sum of (x - mean x)(y - mean y)."""
COUNT, PLACE, SPREAD = 3, 4, 5
"""With holes also: values, mean of x counted from the last row, sum of (x - mean x)^2."""
HELD, HELD_WITH_HOLES = 3, 6


@kernel
def _mean(a: F8, b: F8, weight: float, out: F8) -> None:
    for k in range(len(out)):
        out[k] = a[k] + (b[k] - a[k]) * weight


@kernel
def _product(a: F8, b: F8, ma: F8, mb: F8, away: float, weight: float, out: F8) -> None:
    for k in range(len(out)):
        out[k] = (a[k] + b[k]) + ((mb[k] - ma[k]) * away) * weight


@kernel
def _square(a: F8, b: F8, ma: F8, mb: F8, weight: float, out: F8) -> None:
    for k in range(len(out)):
        d = mb[k] - ma[k]
        out[k] = (a[k] + b[k]) + (d * d) * weight


@kernel
def _error(square: F8, cross: F8, each: float, out: F8) -> None:
    for k in range(len(out)):
        e = square[k] - (cross[k] * cross[k]) * each
        out[k] = e if e > 0.0 else 0.0


@kernel
def _join(older: F8, a: int, newer: F8, b: int, out: F8) -> None:
    """Boxes of a and of b values to boxes of a + b, all of them complete. Arrays (HELD, rows)."""
    m, n = older.shape[1], float(a + b)
    share, weight = b / n, (float(a) * float(b)) / n
    head, tail = slice(a - 1, m - b), slice(a + b - 1, m)
    ma, mb = older[MEAN, head], newer[MEAN, tail]
    _mean(ma, mb, share, out[MEAN, tail])
    _square(older[SQUARE, head], newer[SQUARE, tail], ma, mb, weight, out[SQUARE, tail])
    _product(older[CROSS, head], newer[CROSS, tail], ma, mb, 0.5 * n, weight, out[CROSS, tail])


@kernel
def _join_holes(older: F8, a: int, newer: F8, b: int, out: F8) -> None:
    """As :func:`_join` with values missing; complete boxes get the same bits. Arrays (HELD_WITH_HOLES, rows)."""
    for k in range(a + b - 1, older.shape[1]):
        na, nb = older[COUNT, k - b], newer[COUNT, k]
        n = na + nb
        one = n if n > 0.0 else 1.0
        ma, mb = older[MEAN, k - b], newer[MEAN, k]
        xa, xb = older[PLACE, k - b] - b, newer[PLACE, k]
        ma, xa = ma if na > 0.0 else mb, xa if na > 0.0 else xb
        mb, xb = mb if nb > 0.0 else ma, xb if nb > 0.0 else xa
        d, away, weight = mb - ma, xb - xa, (na * nb) / one
        out[MEAN, k] = ma + d * (nb / one)
        out[SQUARE, k] = (older[SQUARE, k - b] + newer[SQUARE, k]) + (d * d) * weight
        out[CROSS, k] = (older[CROSS, k - b] + newer[CROSS, k]) + (d * away) * weight
        out[COUNT, k] = n
        out[PLACE, k] = xa + (away * nb) / one
        # whole and half numbers: exact
        out[SPREAD, k] = (older[SPREAD, k - b] + newer[SPREAD, k]) + (away * away * (na * nb)) / one


@kernel
def single(y: F8, holes: bool, out: F8) -> None:
    """Boxes of one value: out (HELD or HELD_WITH_HOLES, rows)."""
    for k in range(len(y)):
        valid = y[k] == y[k]
        out[MEAN, k] = y[k] if valid else 0.0
        out[SQUARE, k], out[CROSS, k] = 0.0, 0.0
        if holes:
            out[COUNT, k], out[PLACE, k], out[SPREAD, k] = 1.0 if valid else 0.0, 0.0, 0.0


@kernel
def join(older: F8, a: int, newer: F8, b: int, holes: bool, out: F8) -> None:
    """Moments of all boxes of a + b rows, from those of `a` rows and, after them, of `b`."""
    if holes:
        _join_holes(older, a, newer, b, out)
    else:
        _join(older, a, newer, b, out)


@kernel
def _join_error(
    sa: F8, sb: F8, ca: F8, cb: F8, ma: F8, mb: F8, away: float, weight: float, each: float, out: F8
) -> None:
    """:func:`_join` and :func:`_error` at once, with their bits."""
    for k in range(len(out)):
        d = mb[k] - ma[k]
        square = (sa[k] + sb[k]) + (d * d) * weight
        cross = (ca[k] + cb[k]) + (d * away) * weight
        e = square - (cross * cross) * each
        out[k] = e if e > 0.0 else 0.0


@kernel
def _error_holes(box: F8, first: int, out: F8, points: F8) -> None:
    for k in range(first, len(out)):
        some = box[COUNT, k] >= 3.0
        each = 1.0 / (box[SPREAD, k] if some else 1.0)
        e = box[SQUARE, k] - (box[CROSS, k] * box[CROSS, k]) * each
        out[k] = e if some and e > 0.0 else 0.0
        points[k] = box[COUNT, k] if some else 0.0


@kernel
def errors(older: F8, a: int, newer: F8, b: int, holes: bool, spare: F8, out: F8, points: F8) -> None:
    """Squared error of the line through each box of a + b rows and, with holes, its values; of fewer than 3 none.

    a may be 0. Rows before a + b - 1 get 0.
    """
    n, m = a + b, len(out)
    out[: n - 1], points[: n - 1] = 0.0, 0.0
    if holes:
        if a:
            _join_holes(older, a, newer, b, spare)
        _error_holes(spare if a else newer, n - 1, out, points)
        return
    each, tail = 1.0 / (n * (n * n - 1.0) / 12.0), slice(n - 1, m)
    if a == 0:
        _error(newer[SQUARE, tail], newer[CROSS, tail], each, out[tail])
        return
    weight, head = (float(a) * float(b)) / n, slice(a - 1, m - b)
    _join_error(
        older[SQUARE, head], newer[SQUARE, tail], older[CROSS, head], newer[CROSS, tail],
        older[MEAN, head], newer[MEAN, tail], 0.5 * n, weight, each, out[tail],
    )  # fmt: skip


@kernel
def _add(a: F8, b: F8, out: F8) -> None:
    for k in range(len(out)):
        out[k] = a[k] + b[k]


@kernel
def _accumulate(a: F8, out: F8) -> None:
    for k in range(len(out)):
        out[k] += a[k]


@kernel
def sum_strided(x: F8, stride: int, terms: int, total: F8, spare: tuple[F8, F8]) -> None:
    """total[t] = x[t] + x[t - stride] + ... of `terms` terms, by doubling; right from row (terms - 1) stride on."""
    m, begun, done, size = len(x), False, 0, 1
    part, free, last = x, spare[0][:m], spare[1][:m]
    while True:
        if terms & size:
            back = min(done * stride, m)
            if begun:
                _accumulate(part[: m - back], total[back:])
            else:
                total[:] = part
            begun, done = True, done + size
        if done == terms:
            return
        back = min(size * stride, m)
        free[:back] = 0.0
        _add(part[back:], part[: m - back], free[back:])
        part, free, last = free, last, free
        size *= 2
