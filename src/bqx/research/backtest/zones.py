"""When not to trade: around 17:00 New York, before a closure, around scheduled news."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bqx.base.errors import BacktestError, CalendarError
from bqx.market.calendar import DAY, minute_of

FREE, ROLLOVER, CLOSURE, NEWS = 0, 1, 2, 3
ZONES = ("free", "rollover", "closure", "news")


@dataclass(frozen=True, slots=True)
class NoTrade:
    """Zones in which no position is opened; positions are always closed when due.

    before, after : minutes around 17:00 New York, when spreads widen threefold and positions are rolled.
    spare : a position of h bars is opened only when h + spare bars are left in the segment. news : blackouts
    [start, end) in minutes since 1970.
    """

    before: int = 5
    after: int = 15
    spare: int = 5
    news: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if min(self.before, self.after, self.spare) < 0 or self.before + self.after >= DAY:
            raise BacktestError("no-trade zones need minutes of 0 or more, below a day", where=repr(self))
        if bad := next(((a, b) for a, b in self.news if b <= a), None):
            raise BacktestError(f"a news blackout ends at {bad[1]} before it begins at {bad[0]}", where="NoTrade.news")

    def codes(self, minute: ArrayLike, minute_of_day: ArrayLike, left: ArrayLike, horizon: int) -> NDArray[np.int8]:
        """Zone of each decision at the close of a bar, an index of ZONES; arrays (n,) or numbers.

        minute_of_day : 0 at 17:00 New York. left : open minutes of the segment after the bar.
        """
        day, at = np.atleast_1d(np.asarray(minute_of_day, np.int64)), np.atleast_1d(np.asarray(minute, np.int64))
        out = np.zeros(day.shape, np.int8)
        for start, end in self.news:
            out[(at >= start) & (at < end)] = NEWS
        out[np.asarray(left, np.int64) < horizon + self.spare] = CLOSURE
        out[(day >= DAY - self.before) | (day < self.after)] = ROLLOVER
        return out

    def reason(self, minute: int, minute_of_day: int, left: int, horizon: int) -> str | None:
        """The zone of one decision, None where trading is free."""
        if minute_of_day >= DAY - self.before or minute_of_day < self.after:
            return ZONES[ROLLOVER]
        if left < horizon + self.spare:
            return ZONES[CLOSURE]
        return ZONES[NEWS] if any(start <= minute < end for start, end in self.news) else None


def read_news(path: Path) -> tuple[tuple[int, int], ...]:
    """Blackouts of a CSV file with the columns start, end: ISO times with an offset, whole minutes.

    Raises BacktestError with the line at fault.
    """
    out: list[tuple[int, int]] = []
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows: Sequence[dict[str, str]] = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as exc:
        raise BacktestError(f"the list of news cannot be read: {exc}", where=str(path)) from exc
    for number, row in enumerate(rows, start=2):
        try:
            start, end = (minute_of(datetime.fromisoformat(row[k])) for k in ("start", "end"))
        except (KeyError, TypeError, ValueError, CalendarError) as exc:
            raise BacktestError(
                f"a blackout cannot be read: {exc}",
                where=f"{path}, line {number}",
                fix="columns start,end with ISO times such as 2025-01-10T13:25+00:00",
            ) from exc
        if end <= start:
            raise BacktestError("a blackout ends before it begins", where=f"{path}, line {number}")
        out.append((start, end))
    return tuple(sorted(out))
