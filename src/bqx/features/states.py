"""What columns made of a three-state hysteresis see, and how they are told the slow way; see kernels/hysteresis.py."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.hysteresis import BURN, CAP, HORIZON, Levels
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.support import All, Support, Trajectory

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


def states_reference(
    x: NDArray[np.float64], start: int, row: int, levels: Levels, middle: int
) -> tuple[float, float, float]:
    """State, ln(1 + duration) and changes at `row` of one pair's series, by walking the trajectory of the segment that
    begins at row `start`."""
    into_low, from_low, from_high, into_high = levels
    state, length, changed = 0, 0, []
    for k in range(max(0, start - BURN), row + 1):
        v = float(x[k])
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
    return middle + state, math.log(1 + min(length, CAP)), sum(k > row - HORIZON for k in changed)
