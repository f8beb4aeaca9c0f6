"""Buckets of equal volume, counted back from each bar, and how one-sided they were."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]

NOTHING = 1e-12
"""A bucket is full when less than this share of it is empty."""


@kernel
def _one_sidedness(v: F8, side: F8, r: int, size: float, reach: int, buckets: int) -> float:
    """Of one lane's bars up to r."""
    filled, total, signed, empty = 0, 0.0, 0.0, size
    for k in range(r, max(r - reach, -1), -1):
        left = v[k] if v[k] == v[k] and side[k] == side[k] else 0.0
        while left > 0.0 and filled < buckets:
            part = min(left, empty)
            signed += part * side[k]
            left -= part
            empty -= part
            if empty <= NOTHING * size:
                filled += 1
                total += abs(signed)
                signed, empty = 0.0, size
        if filled == buckets:
            return float(total / (buckets * size))
    return np.nan


@kernel
def _imbalance(v: F8, side: F8, size: F8, start: int, reach: int, buckets: int, out: F8) -> None:
    for j in range(len(v)):
        for r in range(start, v.shape[1]):
            known = size[j, r - start] > 0.0
            one = _one_sidedness(v[j], side[j], r, size[j, r - start], reach, buckets) if known else np.nan
            out[r - start, j] = one


def imbalance_from(v: F8, side: F8, size: F8, start: int, reach: int, buckets: int) -> F8:
    """:func:`imbalance` of rows `start` .. of v and side; size has a row for each of these."""
    out = np.empty(size.shape)
    # a lane is walked through bar by bar
    lanes = [np.ascontiguousarray(x.T) for x in (v, side, size)]
    _imbalance(lanes[0], lanes[1], lanes[2], start, reach, buckets, out)
    return out


def imbalance(v: F8, side: F8, size: F8, reach: int, buckets: int) -> F8:
    """Mean of abs(bought - sold) / size over the last `buckets` buckets of volume `size`, filled from the newest bar
    backwards (Easley, Lopez de Prado & O'Hara 2012); a bar that fills several is divided. side : share of v bought less
    share sold; a bar without it does not count. NaN unless `reach` bars fill all buckets. Shape (n, pairs)."""
    return imbalance_from(v, side, size, 0, reach, buckets)
