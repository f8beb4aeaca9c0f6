"""Tell a file's clock from bars that are known already: at the right offset 1-minute returns agree, elsewhere not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I8 = NDArray[np.int64]
F8 = NDArray[np.float64]
FURTHEST, STEP = 14 * 60, 15
MIN_BARS = 200
MIN_CORRELATION, MAX_RIVAL = 0.6, 0.3


@dataclass(frozen=True, slots=True)
class OffsetMatch:
    """offset: minutes the file is ahead of UTC; correlation of `bars` 1-minute returns at it; rival: the next best."""

    offset: int
    correlation: float
    rival: float
    bars: int


def match_offset(minutes: I8, close: F8, known_minutes: I8, known_close: F8) -> OffsetMatch | None:
    """Best of all offsets within 14 hours in steps of 15 minutes; None unless one stands out.

    minutes (file clock), known_minutes (UTC): sorted unique; close, known_close: prices > 0.
    """
    at, ret = _returns(minutes, close)
    known_at, known_ret = _returns(known_minutes, known_close)
    if len(at) < MIN_BARS or len(known_at) < MIN_BARS:
        return None
    found: list[tuple[float, int, int]] = []
    for offset in range(-FURTHEST, FURTHEST + 1, STEP):
        here, i, j = np.intersect1d(at - offset, known_at, assume_unique=True, return_indices=True)
        if len(here) < MIN_BARS:
            continue
        x, y = ret[i], known_ret[j]
        scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
        found.append((float((x * y).sum()) / scale if scale > 0 else 0.0, offset, len(here)))
    found.sort(reverse=True)
    if not found or found[0][0] < MIN_CORRELATION:
        return None
    rival = found[1][0] if len(found) > 1 else 0.0
    return OffsetMatch(found[0][1], found[0][0], rival, found[0][2]) if rival < MAX_RIVAL else None


def _returns(minutes: I8, close: F8) -> tuple[I8, F8]:
    """1-minute log returns of consecutive minutes, with the minute of each."""
    step = np.diff(minutes) == 1
    return minutes[1:][step], np.diff(np.log(close))[step]
