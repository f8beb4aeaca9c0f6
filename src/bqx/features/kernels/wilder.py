"""Recursions over changes and ranges (Wilder 1978), one fresh trajectory a segment as in `smooth`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import FLOOR, divides
from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def strength_step(change: F8, row: int, period: int, count: F8, up: F8, down: F8) -> None:
    """Take one row in: smoothed rises and falls; the mean of the first `period`, then x += (v - x) / period."""
    alpha = 1.0 / period
    for j in range(len(up)):
        v = change[row, j]
        valid = v == v
        taken = count[j] + (1.0 if valid else 0.0)
        weight = 1.0 / taken if taken <= period else alpha
        rise = v if v > 0.0 else 0.0
        fall = -v if v < 0.0 else 0.0
        up[j] += weight * (rise - up[j]) if valid else 0.0
        down[j] += weight * (fall - down[j]) if valid else 0.0
        count[j] = taken


@kernel
def strength_row(change: F8, row: int, need: int, count: F8, up: F8, down: F8, out: F8, at: int) -> None:
    """100 up / (up + down) into out[at]; 50 when both are exactly 0, NaN where `change` is or before `need` values."""
    for j in range(len(up)):
        v = change[row, j]
        total = up[j] + down[j]
        ratio = 100.0 * (up[j] / total) if total > FLOOR else np.nan
        ratio = 50.0 if total == 0.0 else ratio
        out[at, j] = ratio if (v == v) & (count[j] >= need) else np.nan


def relative_strength(change: F8, seg_age: I4, period: int, need: int, burn: int) -> F8:
    """Relative strength index, 0-100. Shape (n, pairs)."""
    out = np.empty(change.shape)
    _relative_strength(change, seg_age, period, need, burn, out)
    return out


@kernel
def _relative_strength(change: F8, seg_age: I4, period: int, need: int, burn: int, out: F8) -> None:
    n, p = change.shape
    count, up, down = np.zeros(p), np.zeros(p), np.zeros(p)
    for r in range(n):
        if seg_age[r] == 0:
            count[:], up[:], down[:] = 0.0, 0.0, 0.0
            for k in range(max(0, r - burn), r):
                strength_step(change, k, period, count, up, down)
        strength_step(change, r, period, count, up, down)
        strength_row(change, r, need, count, up, down, out, r)


@kernel
def directional_step(
    span: F8, plus: F8, minus: F8, row: int, period: int, count: F8, spans: F8, pluses: F8, minuses: F8
) -> None:
    """Take one row of true range and directional movement in; NULL together."""
    alpha = 1.0 / period
    for j in range(len(count)):
        v = span[row, j]
        valid = v == v
        taken = count[j] + (1.0 if valid else 0.0)
        weight = 1.0 / taken if taken <= period else alpha
        weight = weight if valid else 0.0
        spans[j] += weight * ((v if valid else 0.0) - spans[j])
        pluses[j] += weight * ((plus[row, j] if valid else 0.0) - pluses[j])
        minuses[j] += weight * ((minus[row, j] if valid else 0.0) - minuses[j])
        count[j] = taken


@kernel
def directional_row(
    span: F8, row: int, need: int, count: F8, spans: F8, pluses: F8, minuses: F8, out: tuple[F8, F8, F8], at: int
) -> None:
    """DI+, DI- and DX into row `at` of `out`; NaN where undefined, where `span` is NaN and before `need` values."""
    rising, falling, index = out
    for j in range(len(count)):
        v = span[row, j]
        ok = (v == v) & (count[j] >= need)
        most = pluses[j] if pluses[j] > minuses[j] else minuses[j]
        whole = spans[j]
        ok = ok & divides(whole, 100.0 * most)
        up = pluses[j] / whole
        down = minuses[j] / whole
        up = 100.0 * (up if up < 1.0 else 1.0)
        down = 100.0 * (down if down < 1.0 else 1.0)
        rising[at, j] = up if ok else np.nan
        falling[at, j] = down if ok else np.nan
        gap = 100.0 * abs(up - down)
        total = up + down
        fine = ok & divides(total, gap)
        index[at, j] = gap / total if fine else np.nan


def directional(span: F8, plus: F8, minus: F8, seg_age: I4, period: int, need: int, burn: int) -> tuple[F8, F8, F8]:
    """DI+ = 100 smoothed plus / smoothed span, DI- alike, DX = 100 |DI+ - DI-| / (DI+ + DI-). Shapes (n, pairs)."""
    out = (np.empty(span.shape), np.empty(span.shape), np.empty(span.shape))
    _directional(span, plus, minus, seg_age, period, need, burn, out)
    return out


@kernel
def _directional(
    span: F8, plus: F8, minus: F8, seg_age: I4, period: int, need: int, burn: int, out: tuple[F8, F8, F8]
) -> None:
    n, p = span.shape
    count, spans, pluses, minuses = np.zeros(p), np.zeros(p), np.zeros(p), np.zeros(p)
    for r in range(n):
        if seg_age[r] == 0:
            count[:], spans[:], pluses[:], minuses[:] = 0.0, 0.0, 0.0, 0.0
            for k in range(max(0, r - burn), r):
                directional_step(span, plus, minus, k, period, count, spans, pluses, minuses)
        directional_step(span, plus, minus, r, period, count, spans, pluses, minuses)
        directional_row(span, r, need, count, spans, pluses, minuses, out, r)
