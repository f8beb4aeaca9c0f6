"""Requests by minute of the week: polls while the market is open, and bursts of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CostInputError
from bqx.ops.cost.given import decimal
from bqx.ops.cost.toml import only

F8 = NDArray[np.float64]
DAY, OPEN, WEEK = 1440, 7200, 10080
"""Minute 0 of a week is Sunday 17:00 New York; the market is open to minute 7,199."""
BURST = {"name", "start", "minutes", "requests_a_minute", "source", "date"}


@dataclass(frozen=True, slots=True)
class Burst:
    """Each of Monday to Friday from `first`, minutes after the trade day's 17:00 New York."""

    name: str
    first: int
    minutes: int
    rate: float
    source: str


@dataclass(frozen=True)
class Profile:
    """open : 1 while the market is. extra : requests of bursts. Both of shape (10,080,)."""

    open: F8
    extra: F8

    def load(self, polls: F8, bursts: F8, minute: int) -> F8:
        """Requests in a minute of the week for draws of all pairs' polls a minute and of the bursts' factor."""
        return np.asarray(polls * self.open[minute] + bursts * self.extra[minute])

    def peak(self, polls: F8, bursts: F8) -> F8:
        """Requests of the busiest minute."""
        return np.asarray(np.maximum(polls + bursts * (self.extra * self.open).max(), bursts * self.extra.max()))

    def week(self, polls: F8, bursts: F8) -> F8:
        """Requests of a whole week."""
        return np.asarray(polls * self.open.sum() + bursts * self.extra.sum())


def make_profile(bursts: Sequence[Burst]) -> Profile:
    """
    >>> p = make_profile([Burst("desk", 930, 15, 600.0, "test")])
    >>> float(p.open.sum()), float(p.extra.sum())
    (7200.0, 45000.0)
    """
    extra = np.zeros(WEEK)
    for b in bursts:
        for day in range(5):
            extra[day * DAY + b.first : day * DAY + b.first + b.minutes] += b.rate
    return Profile(_open(), extra)


@lru_cache(maxsize=1)
def _open() -> F8:
    out = np.zeros(WEEK)
    out[:OPEN] = 1.0
    return out


def read_bursts(data: Any, where: str, sources: Mapping[str, tuple[str, date]]) -> tuple[Burst, ...]:
    """`[[burst]]` of a scenario; CostInputError names the one that is wrong."""
    out = []
    for number, each in enumerate(data, start=1):
        place = f"{where}, burst {number}"
        if not isinstance(each, Mapping) or (absent := sorted(BURST - {"date"} - set(each))):
            raise CostInputError(f"{absent[0] if isinstance(each, Mapping) else 'a table'!r} is absent", where=place)
        only(each, BURST, place)
        hour, _, minute = str(each["start"]).partition(":")
        if not (hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60):
            raise CostInputError(f"{each['start']!r} is no time of day", where=place, fix='"08:28"')
        first = (int(hour) * 60 + int(minute) - 17 * 60) % DAY
        length = int(decimal(each["minutes"], f"{place}, minutes"))
        rate = float(decimal(each["requests_a_minute"], f"{place}, requests_a_minute"))
        if length < 1 or first + length > DAY or rate < 0:
            raise CostInputError(f"{length} minutes from {each['start']} are not inside a trade day", where=place,
                                 fix="it ends at 17:00 New York; write two bursts")  # fmt: skip
        text = sources.get(str(each["source"]), (str(each["source"]), None))[0]
        out.append(Burst(str(each["name"]), first, length, rate, text))
    return tuple(out)
