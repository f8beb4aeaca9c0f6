"""Values a fixed number of bars apart inside a segment: their deviation, and the bend of three."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def spaced_deviation_row(
    x: F8, r: int, seg_age: int, spacing: int, count: int, factor: float, scratch: F8, out: F8, row: int
) -> None:
    """Row r of :func:`spaced_deviation` from a ring of spacing x (count - 1) + 1 rows into out[row].

    Summed anew for each bar, about the newest value: `count` is small. scratch : (2, pairs).
    """
    cap, p = x.shape
    if seg_age < spacing * (count - 1):
        for j in range(p):
            out[row, j] = np.nan
        return
    now = r % cap
    for j in range(p):
        scratch[0, j], scratch[1, j] = 0.0, 0.0
    for k in range(1, count):
        then = (r - k * spacing) % cap
        for j in range(p):
            scratch[0, j] += x[then, j] - x[now, j]
    for j in range(p):
        scratch[0, j] /= count
    for k in range(count):
        then = (r - k * spacing) % cap
        for j in range(p):
            d = (x[then, j] - x[now, j]) - scratch[0, j]
            scratch[1, j] += d * d
    for j in range(p):
        out[row, j] = factor * np.sqrt(scratch[1, j] / (count - 1.0))


@batch
def spaced_deviation(out: F8, x: F8, seg_age: I4, spacing: int, count: int, factor: float) -> None:
    """factor x sample deviation of the `count` values 0, spacing, 2 spacing ... bars ago; NaN unless all are valid and
    in one segment. Shape (n, pairs)."""
    scratch = np.empty((2, x.shape[1]))
    for r in range(len(x)):
        spaced_deviation_row(x, r, seg_age[r], spacing, count, factor, scratch, out, r)


@kernel
def bend_row(x: F8, r: int, seg_age: int, lag: int, out: F8, row: int) -> None:
    """Row r of :func:`bend` from a ring of 2 lag + 1 rows into out[row]."""
    cap, p = x.shape
    now, one, two = r % cap, (r - lag) % cap, (r - 2 * lag) % cap
    inside = seg_age >= 2 * lag
    for j in range(p):
        d = (x[now, j] - x[one, j]) - (x[one, j] - x[two, j])
        out[row, j] = d if inside else np.nan


@batch
def bend(out: F8, x: F8, seg_age: I4, lag: int) -> None:
    """x(t) - 2 x(t - lag) + x(t - 2 lag), NaN unless all three are valid and in one segment. Shape (n, pairs)."""
    for r in range(len(x)):
        bend_row(x, r, seg_age[r], lag, out, r)
