"""Mondrian cells: market session x tercile of volatility. Each is calibrated by its own rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import IntervalError
from bqx.features.families.time import SESSIONS
from bqx.market.calendar import datetime_of

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
SESSION_NAMES = ("none", "Tokyo", "London", "New York", "London and New York")


@dataclass(frozen=True, slots=True)
class Cells:
    """`low`, `high` : thresholds of sigma in bps between the terciles, from training rows alone."""

    low: float
    high: float

    @classmethod
    def fit(cls, sigma: F8) -> Cells:
        known = sigma[np.isfinite(sigma)]
        if not len(known):
            raise IntervalError("no training row has a volatility")
        low, high = np.quantile(known, [1 / 3, 2 / 3])
        return cls(float(low), float(high))

    @property
    def count(self) -> int:
        return 3 * len(SESSION_NAMES)

    def of(self, minute: I8, sigma: F8) -> I8:
        """Cell of each row (n,), -1 where sigma is NULL; minutes since 1970, sigma in bps."""
        tercile = (sigma > self.low).astype(np.int64) + (sigma > self.high)
        return np.where(np.isfinite(sigma), 3 * sessions(minute) + tercile, -1)

    def name(self, cell: int) -> str:
        """In words; -1 is every row."""
        if cell < 0:
            return "all rows"
        return f"{SESSION_NAMES[cell // 3]}, {('low', 'middle', 'high')[cell % 3]} volatility"


def sessions(minute: I8) -> I8:
    """Number of the session in SESSION_NAMES at each minute (n,); the same as the column time_dual.trading_session."""
    hours, row = np.unique(minute // 60, return_inverse=True)
    return np.array([_session(int(h)) for h in hours], dtype=np.int64)[row]


@lru_cache(maxsize=65536)
def _session(hour: int) -> int:
    """Sessions open and close at full hours, and all three zones are whole hours from UTC."""
    now = datetime_of(60 * hour)
    tokyo, london, new_york = (first <= now.astimezone(zone).hour < last for _, zone, first, last in SESSIONS)
    if london and new_york:
        return 4
    return 3 if new_york else 2 if london else int(tokyo)
