"""Maximal-overlap discrete wavelet transform: filters that look back only, and no value beyond a segment's start."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

DB4 = (0.23037781330885523, 0.7148465705525415, 0.6308807679295904, -0.02798376941698385, -0.18703481171888114,
       0.030841381835986965, 0.032883011666982945, -0.010597401784997278)  # fmt: skip
"""Daubechies' scaling filter of 8 taps, the tap of the newest value first (Daubechies 1992; Percival & Walden 2000,
table 109: of its kind the one with the least delay)."""
TAPS, LEVELS = 8, 3
SMOOTH = np.array(DB4) / math.sqrt(2.0)
DETAIL = np.array([(-1.0 if k % 2 else 1.0) * DB4[TAPS - 1 - k] for k in range(TAPS)]) / math.sqrt(2.0)


def reach(level: int) -> int:
    """Values under a filter of a level: (2^level - 1) 7 + 1."""
    return ((1 << level) - 1) * (TAPS - 1) + 1


@kernel
def _stage(x: F8, seg_age: I4, start: int, spacing: int, inside: int, detail: F8, smooth: F8) -> None:
    """Filters with taps `spacing` rows apart, of rows `start` .., NaN where a row is not `inside` bars or more into its
    segment. NaN passes through."""
    p = x.shape[1]
    for r in range(start, len(x)):
        for j in range(p):
            detail[r, j] = 0.0 if seg_age[r] >= inside else np.nan
            smooth[r, j] = 0.0 if seg_age[r] >= inside else np.nan
        if seg_age[r] >= inside:
            for k in range(TAPS):
                h, g = DETAIL[k], SMOOTH[k]
                for j in range(p):
                    v = x[r - k * spacing, j]
                    detail[r, j] += h * v
                    smooth[r, j] += g * v


def overlap_from(x: F8, seg_age: I4, start: int) -> tuple[F8, F8, F8, F8]:
    """:func:`overlap` of all rows of x, of which those from `start` on are right."""
    found, level = [], x
    for k in range(1, LEVELS + 1):
        detail, smooth = np.full(x.shape, np.nan), np.full(x.shape, np.nan)
        # what a later row needs of the level before
        first = max(start - (reach(LEVELS) - reach(k)), 0)
        _stage(level, seg_age, first, 1 << (k - 1), reach(k) - 1, detail, smooth)
        found.append(detail)
        level = smooth
    return found[0], found[1], found[2], level


def overlap(x: F8, seg_age: I4) -> tuple[F8, F8, F8, F8]:
    """Detail coefficients of levels 1, 2, 3 and the smooth of level 3 at each bar, from the last 8, 22 and 50 values of
    the segment; NaN where one of these is. Shapes (n, pairs)."""
    return overlap_from(x, seg_age, 0)
