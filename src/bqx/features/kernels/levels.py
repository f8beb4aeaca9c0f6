"""Log levels in basis points, counted from the first open of each segment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.mathfun import log_ratio

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

BPS = 1e4


@kernel
def reference_step(seg_age: int, open_: F8, row: int, reference: F8) -> None:
    """Advance the first valid open of the segment, one per lane; NaN until the segment's first bar."""
    for j in range(len(reference)):
        before = np.nan if seg_age == 0 else reference[j]
        reference[j] = before if before == before else open_[row, j]


@batch
def references(out: F8, open_: F8, seg_age: I4) -> None:
    """First valid open of the current segment at every bar. Shape (n, pairs)."""
    n, p = open_.shape
    state = np.full(p, np.nan)
    for r in range(n):
        reference_step(seg_age[r], open_, r, state)
        for j in range(p):
            out[r, j] = state[j]


@batch
def levels(out: F8, price: F8, reference: F8) -> None:
    """10^4 ln(price / reference), NaN where either is. Shape (n, pairs)."""
    n, p = price.shape
    for r in range(n):
        for j in range(p):
            a, b = price[r, j], reference[r, j]
            out[r, j] = BPS * log_ratio(a, b) if a == a and b == b else np.nan


@kernel
def change_step(seg_age: int, close: F8, reference: F8, row: int, last: F8, out: F8) -> None:
    """Log change since the last price of the segment, in bps; the segment's first is its own open to close.

    last : the last price of the segment, one per lane. Writes out[row].
    """
    for j in range(len(last)):
        c = close[row, j]
        held = np.nan if seg_age == 0 else last[j]
        before = held if held == held else reference[row, j]
        valid = c == c
        out[row, j] = BPS * log_ratio(c, before) if valid else np.nan
        last[j] = c if valid else held


@batch
def changes(out: F8, close: F8, reference: F8, seg_age: I4) -> None:
    """dy of the rate stream, see :func:`change_step`. Shape (n, pairs)."""
    n, p = close.shape
    last = np.full(p, np.nan)
    for r in range(n):
        change_step(seg_age[r], close, reference, r, last, out)
