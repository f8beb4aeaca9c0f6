"""Which bar a question is about, and whether it is fresh enough to be answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bqx.base.errors import CalendarError, NoPrediction
from bqx.market.calendar import Calendar, datetime_of

Clock = Callable[[], float]
"""Seconds since 1970, UTC."""
MAX_AGE = 2
"""Bars by which the newest bar may lag behind the last one that is complete."""


def as_if(start: float) -> Clock:
    """A clock that begins at `start` and runs on."""
    began = time.monotonic()
    return lambda: start + (time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class Asked:
    """seconds : when is asked about. wanted : label of the last complete bar then. opens : next open minute, None while
    the market is open."""

    seconds: float
    wanted: int
    opens: int | None


def asked(calendar: Calendar, seconds: float) -> Asked:
    """What was complete at a time: the bar labelled m is usable from m + 60 s.

    Raises NoPrediction (`no_row`) outside the years of the calendar.
    """
    now = int(seconds // 60)
    try:
        before = calendar.ordinal(now)
        wanted = calendar.at_ordinal(before - 1)
        is_open = bool(calendar.is_open([now])[0])  # type: ignore[arg-type]
        opens = None if is_open else calendar.at_ordinal(before)
    except CalendarError as error:
        raise NoPrediction("no_row", error.what) from error
    return Asked(seconds, wanted, opens)


def age_in_bars(calendar: Calendar, question: Asked, bar: int) -> int:
    """Open minutes between `bar` and the last complete one: 0 when nothing is late, closures do not count."""
    return calendar.ordinal(question.wanted) - calendar.ordinal(bar)


def require_open(question: Asked) -> None:
    """Raises NoPrediction (`closed`) with the time the market opens."""
    if question.opens is not None:
        raise NoPrediction(
            "closed",
            f"the market is closed at {datetime_of(int(question.seconds // 60)).isoformat()}",
            fix=f"it opens at {datetime_of(question.opens).isoformat()}",
        )


def require_fresh(calendar: Calendar, question: Asked, pair: str, bar: int) -> int:
    """The age in bars; NoPrediction (`stale`) when it is above MAX_AGE."""
    age = age_in_bars(calendar, question, bar)
    if age > MAX_AGE:
        raise NoPrediction(
            "stale",
            f"the newest bar of {pair} is {age:,} bars old, at most {MAX_AGE} may be missing",
            where=f"{pair} {datetime_of(bar).isoformat()}",
            fix="see to the feed or the import, then `bqx build run`; `bqx status` shows what is behind",
        )
    return age
