"""What rows are told apart by: the session of their minute, and how volatile it was against the pair's past."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.time import session_minutes
from bqx.market.calendar import Calendar

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
SESSIONS = ("none open", "Tokyo", "London", "New York", "London and New York")
TERCILES = ("calm", "middle", "lively")
FEWEST = 100


def sessions(calendar: Calendar, minute: I8) -> I8:
    """Number in SESSIONS of each open minute (n,), rising; civil time, London before Tokyo when both are open."""
    grid = calendar.grid(int(minute[0]), int(minute[-1]) + 1)
    at = np.searchsorted(grid.minute, minute)
    days, row = np.unique(grid.day[at], return_inverse=True)
    edges = np.array([session_minutes(int(d)) for d in days], dtype=np.int64)[row]
    now = grid.minute_of_day[at][:, None]
    tokyo, london, new_york = ((now >= edges[:, :, 0]) & (now < edges[:, :, 1])).T
    code = np.where(london, 2, np.where(tokyo, 1, 0))
    return np.where(london & new_york, 4, np.where(new_york, 3, code)).astype(np.int64)


def terciles(sigma: F8, fold: I8) -> tuple[I8, bool]:
    """Number in TERCILES of each row (n,), by thirds of sigma before its fold began; whether all could be.

    The rows before a fold are the test rows of earlier folds. A fold with fewer than 100 rows before it takes its own
    thirds: those know its future, which touches how rows are told apart and no forecast; the flag is False then.
    """
    out, clean = np.zeros(len(sigma), np.int64), True
    for number in np.unique(fold):
        mine, past = fold == number, fold < number
        enough = int(past.sum()) >= FEWEST
        clean &= enough
        low, high = np.quantile(sigma[past if enough else mine], [1 / 3, 2 / 3])
        out[mine] = (sigma[mine] > low).astype(np.int64) + (sigma[mine] > high)
    return out, clean
