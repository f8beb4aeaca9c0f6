"""Three states with hysteresis: a series enters the low or the high one beyond one threshold and leaves it at another.

A state's trajectory begins anew, in the middle, `burn` open minutes before each segment. NULL holds it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batches, kernel
from bqx.features.kernels.mathfun import log_ratio

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Levels = tuple[float, float, float, float]
"""Enter low below the first, leave it above the second; leave high below the third, enter it above the fourth."""

TERCILES: Levels = (0.33, 0.40, 0.60, 0.67)
"""Of a percentile rank: terciles with a band."""
TAU: Levels = (-0.40, -0.25, 0.25, 0.40)
"""Of a rank correlation with time."""

CAP, HORIZON, BURN = 7200, 1440, 8640
"""Where durations saturate, the bars in which changes are counted, and the head start of a trajectory."""

SIDE, COUNT, LENGTH, CHANGES = range(4)
STATE_ROWS = 4
"""Rows of a state: -1, 0 or 1; values taken in; values since it last changed, that one included; changes counted."""


@kernel
def clear_states(state: F8, flags: F8) -> None:
    """A fresh trajectory. state : (STATE_ROWS, pairs). flags : a ring (horizon, pairs)."""
    for k in range(len(state)):
        for j in range(state.shape[1]):
            state[k, j] = 0.0
    for k in range(len(flags)):
        for j in range(flags.shape[1]):
            flags[k, j] = 0.0


@kernel
def hysteresis_step(x: F8, row: int, minute: int, levels: Levels, cap: float, state: F8, flags: F8) -> None:
    """Take one row in, that of open minute number `minute`; NaN lanes hold, but their minute passes.

    One step may lead from low to high: the series then has left the one and entered the other, one change.
    """
    into_low, from_low, from_high, into_high = levels
    slot = minute % len(flags)
    for j in range(x.shape[1]):
        v, side = x[row, j], state[SIDE, j]
        low = (v < into_low) | ((side < 0.0) & (v <= from_low))
        high = (v > into_high) | ((side > 0.0) & (v >= from_high))
        new = (1.0 if high else 0.0) - (1.0 if low else 0.0)
        valid = v == v
        new = new if valid else side
        flag = 1.0 if new != side else 0.0
        one = 1.0 if valid else 0.0
        length = state[LENGTH, j] + one
        length = length if length < cap else cap
        state[LENGTH, j] = 1.0 if new != side else length
        state[SIDE, j] = new
        state[COUNT, j] += one
        state[CHANGES, j] += flag - flags[slot, j]
        flags[slot, j] = flag


@kernel
def hysteresis_row(
    x: F8, row: int, middle: float, cap: float, horizon: float, state: F8, out: tuple[F8, F8, F8], at: int
) -> None:
    """State, ln(1 + duration) and changes into row `at` of `out`; see :func:`hysteresis`."""
    code, duration, changes = out
    for j in range(x.shape[1]):
        v, count = x[row, j], state[COUNT, j]
        code[at, j] = state[SIDE, j] + middle if v == v else np.nan
        changes[at, j] = state[CHANGES, j] if (v == v) & (count > horizon) else np.nan
    for j in range(x.shape[1]):
        v, count = x[row, j], state[COUNT, j]
        length = log_ratio(1.0 + state[LENGTH, j], 1.0)
        duration[at, j] = length if (v == v) & (count > cap) else np.nan


@batches(3)
def _hysteresis(
    out: tuple[F8, F8, F8],
    x: F8,
    seg_age: I4,
    levels: Levels,
    middle: float,
    cap: float,
    horizon: int,
    burn: int,
) -> None:
    n, p = x.shape
    state, flags = np.zeros((STATE_ROWS, p)), np.zeros((horizon, p))
    for r in range(n):
        if seg_age[r] == 0:
            clear_states(state, flags)
            for k in range(max(0, r - burn), r):
                hysteresis_step(x, k, k, levels, cap, state, flags)
        hysteresis_step(x, r, r, levels, cap, state, flags)
        hysteresis_row(x, r, middle, cap, float(horizon), state, out, r)


def hysteresis(
    x: F8,
    seg_age: I4,
    levels: Levels,
    middle: float,
    cap: int = CAP,
    horizon: int = HORIZON,
    burn: int = BURN,
) -> tuple[F8, F8, F8]:
    """State, ln(1 + duration) and number of changes of x. Shapes (n, pairs).

    The state is middle - 1, middle or middle + 1, from the first value on. The duration counts values in the current
    state, the one that entered it included, up to `cap`, once `cap` + 1 values were taken in. Changes are those of the
    last `horizon` open minutes, once `horizon` + 1 values were taken in: by then the start in the middle has no part
    in either. All are NaN where x is.
    """
    code, duration, changes = _hysteresis(x, seg_age, levels, float(middle), float(cap), horizon, burn)
    return code, duration, changes
