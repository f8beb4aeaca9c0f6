"""Volume on either side of the market, estimated from price changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import divides
from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.mathfun import log_ratio, normal_cdf
from bqx.features.kernels.moments import TINY

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@batch
def log_one_plus(out: F8, v: F8) -> None:
    """ln(1 + v) for v >= 0, NaN for NaN. Shape (n, pairs)."""
    n, p = v.shape
    for r in range(n):
        for j in range(p):
            out[r, j] = log_ratio(1.0 + v[r, j], 1.0)


@batch
def bulk_side(out: F8, change: F8, deviation: F8) -> None:
    """2 Ncdf(change / deviation) - 1: the share bought less the share sold of a bar's volume (Easley, Lopez de Prado &
    O'Hara 2012); NaN where the deviation is nothing beside the change. Shape (n, pairs)."""
    n, p = change.shape
    for r in range(n):
        for j in range(p):
            a, b = change[r, j], deviation[r, j]
            out[r, j] = 2.0 * normal_cdf(a / b) - 1.0 if divides(b, abs(a)) else np.nan


@kernel
def signed_step(change: F8, v: F8, row: int, seg_age: int, total: F8, out: F8, at: int) -> None:
    """Add v with the sign of the change to `total`, which begins at 0 with the segment; emit it into out[at].

    Changes of at most 1e-9 bps are rounding of equal prices."""
    for j in range(len(total)):
        d, w = change[row, j], v[row, j]
        sign = (1.0 if d > TINY else 0.0) - (1.0 if d < -TINY else 0.0)
        valid = (d == d) & (w == w)
        before = 0.0 if seg_age == 0 else total[j]
        total[j] = before + (sign * w if valid else 0.0)
        out[at, j] = total[j] if valid else np.nan


@batch
def signed_volume(out: F8, change: F8, v: F8, seg_age: I4) -> None:
    """Volume with the sign of the change, cumulated from the segment's start (Granville 1963), NaN where either is.
    Whole numbers are exact; only differences inside a segment mean anything. Shape (n, pairs)."""
    total = np.zeros(v.shape[1])
    for r in range(len(v)):
        signed_step(change, v, r, seg_age[r], total, out, r)
