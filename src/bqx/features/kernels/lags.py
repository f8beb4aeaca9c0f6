"""Differences over a fixed number of open minutes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@batch
def lag_inside(out: F8, x: F8, seg_age: I4, lag: int) -> None:
    """x(t) - x(t - lag), NaN unless both lie in one segment (policy SEG). Shape (n, pairs)."""
    n, p = x.shape
    for r in range(n):
        inside = seg_age[r] >= lag
        for j in range(p):
            out[r, j] = x[r, j] - x[r - lag, j] if inside else np.nan


@batch
def lag_plain(out: F8, x: F8, lag: int) -> None:
    """x(t) - x(t - lag) over open minutes of a stream that has no closure gaps. Shape (n, pairs)."""
    n, p = x.shape
    for r in range(n):
        for j in range(p):
            out[r, j] = x[r, j] - x[r - lag, j] if r >= lag else np.nan


@kernel
def segment_ends(y: F8, seg_row: I4, count: int) -> F8:
    """Last valid level of each segment. Shape (segments, pairs)."""
    n, p = y.shape
    out = np.full((count, p), np.nan)
    for r in range(n):
        for j in range(p):
            if y[r, j] == y[r, j]:
                out[seg_row[r], j] = y[r, j]
    return out


@batch
def lag_across(out: F8, y: F8, seg_row: I4, ends: F8, lag: int) -> None:
    """Sum of the changes inside segments between t - lag and t: closure gaps inside the window are left out.

    Added from the oldest segment to the newest, from nothing, so that the sum sees only its own window (policy XGAP).
    """
    n, p = y.shape
    out[:] = np.nan
    for r in range(lag, n):
        old, now = seg_row[r - lag], seg_row[r]
        for j in range(p):
            if old == now:
                out[r, j] = y[r, j] - y[r - lag, j]
            else:
                total = ends[old, j] - y[r - lag, j]
                for s in range(old + 1, now):
                    total += ends[s, j]
                out[r, j] = total + y[r, j]
