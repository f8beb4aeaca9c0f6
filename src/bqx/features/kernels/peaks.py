"""How long ago a window had its largest value, the latest of equals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel

F8 = NDArray[np.float64]

GRID = 1.0 / 65536.0
_SHIFT = 1.5 * 2.0**52 * GRID
"""Adding and taking it away leaves a multiple of GRID, ties to even."""


@kernel
def to_grid(x: float) -> float:
    """The nearest multiple of GRID (1.5e-5 basis points), exact below 2**35.

    Equal prices that come from other quotes, or are counted from another zero, differ in the last bit (1e-12); on the
    grid they are equal, and a tick is hundreds of steps.
    """
    return (x + _SHIFT) - _SHIFT


@batch
def on_grid(out: F8, x: F8) -> None:
    """:func:`to_grid` of every value. Shape (n, pairs)."""
    n, p = x.shape
    for r in range(n):
        for j in range(p):
            out[r, j] = to_grid(x[r, j])


@batch
def peak_age(out: F8, x: F8, window: int) -> None:
    """Rows since the latest of the largest valid values among rows r - window + 1 .. r; NaN where none is valid.
    Shape (n, pairs).

    Blocks of `window` rows with running peaks from both ends (van Herk 1992): two comparisons a value and one to join
    them, whatever the window.
    """
    n, p = x.shape
    # row k of the tail: the peak of the block before from its k-th row on; the last row is of none
    tail, tail_row = np.full((window + 1, p), -np.inf), np.zeros((window + 1, p))
    head, head_row = np.empty(p), np.empty(p)
    for begin in range(0, n, window):
        for slot in range(window - 1 if begin else 0, 0, -1):
            k = begin - window + slot
            row = float(k)
            for j in range(p):
                higher = x[k, j] > tail[slot + 1, j]
                tail[slot, j] = x[k, j] if higher else tail[slot + 1, j]
                tail_row[slot, j] = row if higher else tail_row[slot + 1, j]
        head[:], head_row[:] = -np.inf, 0.0
        for r in range(begin, min(begin + window, n)):
            slot = r - begin + 1
            row = float(r)
            for j in range(p):
                higher = x[r, j] >= head[j]
                head[j] = x[r, j] if higher else head[j]
                head_row[j] = row if higher else head_row[j]
                late = head[j] >= tail[slot, j]
                peak = head[j] if late else tail[slot, j]
                since = row - (head_row[j] if late else tail_row[slot, j])
                out[r, j] = since if peak > -np.inf else np.nan


@kernel
def peak_age_step(x: F8, r: int, window: int, out: F8, row: int) -> None:
    """The age at bar r of the ring `x` (row k at k % len(x)) into out[row], by looking at the whole window."""
    cap, p = x.shape
    first = max(0, r - window + 1)
    for j in range(p):
        peak, since = -np.inf, np.nan
        for k in range(first, r + 1):
            v = x[k % cap, j]
            higher = (v >= peak) & (v > -np.inf)
            peak = v if higher else peak
            since = float(r - k) if higher else since
        out[row, j] = since
