"""The trading session a minute lies in, by local clocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bqx.features.families.time import ROLLOVER, session_minutes
from bqx.market.calendar import DAY

NAMES = ("quiet", "Tokyo", "London", "New York", "London and New York", "rollover")
ROLL = 5


def session_codes(day: ArrayLike, minute_of_day: ArrayLike) -> NDArray[np.int8]:
    """Index of NAMES for each minute: trade day number and minutes since 17:00 New York, arrays (n,) or numbers.

    London counts before Tokyo where both are open; the minutes around 17:00 New York are "rollover".
    """
    minute = np.atleast_1d(np.asarray(minute_of_day, np.int64))
    days = np.broadcast_to(np.asarray(day, np.int64), minute.shape)
    seen, row = np.unique(days, return_inverse=True)
    edges = np.array([session_minutes(int(d)) for d in seen], np.int64).reshape(len(seen), 3, 2)[row]
    tokyo, london, york = ((minute >= edges[:, k, 0]) & (minute < edges[:, k, 1]) for k in range(3))
    out = np.select([london & york, york, london, tokyo], [4, 3, 2, 1], 0).astype(np.int8)
    before, after = ROLLOVER
    out[(minute < after) | (minute >= DAY - before)] = ROLL
    return out
