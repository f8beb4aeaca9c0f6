"""Minutes to and since scheduled events, of which only those published by then are looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.mathfun import exp

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

SCHEDULED, PUBLISHED, WITHDRAWN, REGION, IMPORTANCE, KIND = range(6)
"""Columns of a table of events, sorted by the first."""

CAP = 1440
"""Clocks go no further."""
SOON = 90

NEXT, NEXT_REGION, SEVERAL = range(3)


@kernel
def _after(table: I8, minute: int) -> int:
    """The first event that is later than the minute."""
    low, high = 0, len(table)
    while low < high:
        middle = (low + high) // 2
        if table[middle, SCHEDULED] <= minute:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _counts(table: I8, k: int, column: int, value: int) -> bool:
    found: bool = column < 0 or table[k, column] == value
    return found


@kernel
def _to_next(table: I8, earliest: I8, minute: I8, column: int, value: int, out: F8) -> None:
    for r in range(len(minute)):
        t = minute[r]
        first = _after(table, t)
        out[r] = CAP if first < len(table) and earliest[first] <= t else np.nan
        for k in range(first, len(table)):
            if table[k, SCHEDULED] - t >= CAP:
                break
            if table[k, PUBLISHED] <= t < table[k, WITHDRAWN] and _counts(table, k, column, value):
                out[r] = table[k, SCHEDULED] - t
                break


@kernel
def _since_last(table: I8, earliest: I8, minute: I8, column: int, value: int, out: F8) -> None:
    for r in range(len(minute)):
        t = minute[r]
        first = _after(table, t)
        # known is what has come, and that more is to come: the schedule has not ended
        known = first < len(table) and earliest[first] <= t and t - table[0, SCHEDULED] >= CAP
        out[r] = CAP if known else np.nan
        for k in range(first - 1, -1, -1):
            if t - table[k, SCHEDULED] >= CAP or not known:
                break
            happened = table[k, PUBLISHED] <= t and table[k, WITHDRAWN] > table[k, SCHEDULED]
            if happened and _counts(table, k, column, value):
                out[r] = t - table[k, SCHEDULED]
                break


@kernel
def _soon(table: I8, earliest: I8, minute: I8, out: F8) -> None:
    for r in range(len(minute)):
        t = minute[r]
        first = _after(table, t)
        known = first < len(table) and earliest[first] <= t
        when, importance, region, count = -1, 0, 0, 0
        for k in range(first, len(table)):
            if table[k, SCHEDULED] - t > SOON:
                break
            if table[k, PUBLISHED] <= t < table[k, WITHDRAWN]:
                count += 1
                when = table[k, SCHEDULED] if when < 0 else when
                # of several in one minute the most important, of these the first region
                more = table[k, IMPORTANCE] > importance
                same = table[k, IMPORTANCE] == importance and table[k, REGION] < region
                if table[k, SCHEDULED] == when and (more or same):
                    importance, region = table[k, IMPORTANCE], table[k, REGION]
        out[NEXT, r] = importance if known else np.nan
        out[NEXT_REGION, r] = region if known else np.nan
        out[SEVERAL, r] = (1.0 if count > 1 else 0.0) if known else np.nan


def to_next(table: I8, earliest: I8, minute: I8, column: int, value: int) -> F8:
    """Minutes from each minute to the next event that is later, was published by then and not withdrawn, and whose
    `column` is `value` (any with column -1), at most CAP; NaN where no published event is ahead. earliest : first
    publication among an event and all later ones. Shape (n,)."""
    out = np.empty(len(minute))
    _to_next(table, earliest, minute, column, value, out)
    return out


def since_last(table: I8, earliest: I8, minute: I8, column: int, value: int) -> F8:
    """Minutes since the last such event, at most CAP; NaN in the first CAP minutes of the schedule and where no
    published event is ahead. Shape (n,)."""
    out = np.empty(len(minute))
    _since_last(table, earliest, minute, column, value, out)
    return out


def soon(table: I8, earliest: I8, minute: I8) -> F8:
    """Importance and region of the next event within SOON minutes, 0 without one, and whether there are several; NaN
    where no published event is ahead. Shape (3, n)."""
    out = np.empty((3, len(minute)))
    _soon(table, earliest, minute, out)
    return out


@batch
def decay(out: F8, minutes: F8) -> None:
    """exp(- minutes / 60). Shape (n,)."""
    for r in range(len(minutes)):
        out[r] = exp(-minutes[r] / 60.0)
