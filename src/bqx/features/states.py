"""What columns made of a three-state hysteresis see, and how they are told the slow way; see kernels/hysteresis.py."""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.hysteresis import BURN, CAP, HORIZON, Levels
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.support import All, Support, Trajectory

F8 = NDArray[np.float64]

DURATION_BOUNDS = (log_ratio(2.0, 1.0), log_ratio(1.0 + CAP, 1.0))
CHANGES_BOUNDS = (0.0, float(HORIZON))


def _taken(x: Support, values: int) -> Support:
    return All((x, Trajectory(x, need=values, burn=BURN, before=False)))


def state_support(x: Support) -> Support:
    """The state of a series that sees `x`: from its first value on, in the middle before."""
    return _taken(x, 1)


def duration_support(x: Support) -> Support:
    """ln(1 + values in the current state), saturated."""
    return _taken(x, CAP + 1)


def changes_support(x: Support) -> Support:
    """Changes of state in the last HORIZON open minutes."""
    return _taken(x, HORIZON + 1)


def trajectory_reference(x: F8, start: int, stop: int, levels: Levels, middle: int) -> F8:
    """State, ln(1 + duration) and changes at rows start .. stop - 1 of one pair's series, by walking the trajectory of
    the segment that begins at row `start`; NaN where x is. Shape (3, stop - start)."""
    into_low, from_low, from_high, into_high = levels
    first = max(0, start - BURN)
    out = np.full((3, stop - start), np.nan)
    state, length = 0, 0
    changed: list[int] = []
    for k, v in enumerate(x[first:stop].tolist(), first):
        if math.isnan(v):
            continue
        before = state
        if (state == -1 and v > from_low) or (state == 1 and v < from_high):
            state = 0
        if v < into_low:
            state = -1
        if v > into_high:
            state = 1
        length = length + 1 if state == before else 1
        if state != before:
            changed.append(k)
        if k >= start:
            recent = len(changed) - bisect_right(changed, k - HORIZON)
            out[:, k - start] = middle + state, math.log(1 + min(length, CAP)), recent
    return out


def states_reference(x: F8, start: int, row: int, levels: Levels, middle: int) -> tuple[float, float, float]:
    """The last of :func:`trajectory_reference` at `row`. For many rows of a segment, keep the whole."""
    state, duration, changes = trajectory_reference(x, start, row + 1, levels, middle)[:, -1].tolist()
    return state, duration, changes
