"""The FX trading calendar: days close at 17:00 New York, weeks on Friday, holidays by a versioned file.

Inside bqx a time is an ``int64`` count of minutes since 1970-01-01 00:00 UTC, called a *minute*.
A *trade day* runs from 17:00 New York on the evening before to 17:00 on its date and is numbered by the
days from 1970-01-01 to that date. Clocks change on Sundays before the open, so every open trade day has
exactly 1,440 minutes; the calendar uses that to count open minutes without listing them.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CalendarError

DAY = 1440
WEEK = 5 * DAY  # the longest possible segment
EPOCH = date(1970, 1, 1)
MONDAY = EPOCH.weekday()  # days since a Monday
NEW_YORK = ZoneInfo("America/New_York")
FIRST_YEAR, LAST_YEAR = 1990, 2079

I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


@lru_cache(maxsize=65536)
def _close_minute(day: int) -> int:
    """Minute of 17:00 New York on the date numbered `day`."""
    local = datetime.combine(EPOCH + timedelta(days=day), datetime.min.time(), NEW_YORK)
    return int(local.replace(hour=17).timestamp()) // 60


def minute_of(when: datetime) -> int:
    """Minute of an aware datetime; raises CalendarError for a naive one or one off the minute."""
    if when.tzinfo is None:
        raise CalendarError(f"time {when.isoformat()} has no time zone", fix="add Z or an offset")
    if when.second or when.microsecond:
        raise CalendarError(f"time {when.isoformat()} is not on a whole minute")
    return int(when.timestamp()) // 60


def datetime_of(minute: int) -> datetime:
    return datetime.fromtimestamp(int(minute) * 60, UTC)


def month_of(minute: int) -> str:
    """`yyyy_mm` of a minute, in UTC."""
    return datetime_of(minute).strftime("%Y_%m")


def month_span(ym: str) -> tuple[int, int]:
    """First minute of the UTC month `yyyy_mm` and of the next one."""
    try:
        year, month = (int(part) for part in ym.split("_"))
        start = datetime(year, month, 1, tzinfo=UTC)
    except ValueError as exc:
        raise CalendarError(f"{ym!r} is not a month", fix="write it as yyyy_mm, for example 2024_07") from exc
    after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return minute_of(start), minute_of(after)


def months_between(start: int, end: int) -> list[str]:
    """Months that hold minutes of [start, end)."""
    out: list[str] = []
    at = start
    while at < end:
        out.append(month_of(at))
        at = month_span(out[-1])[1]
    return out


@dataclass(frozen=True, slots=True)
class Grid:
    """Open minutes of a span, the same for every pair; arrays of shape (n,).

    minute : int64, minutes since the epoch.
    day : int32, trade day number. minute_of_day : int32, 0 at 17:00 New York.
    seg_id : int32, number of the segment = trade day number of its first day.
    seg_age : int32, open minutes since the segment began, 0 at its first minute.
    """

    minute: I8
    day: I4
    minute_of_day: I4
    seg_id: I4
    seg_age: I4

    def __len__(self) -> int:
        return len(self.minute)

    @property
    def week(self) -> I4:
        """Number of the trading week, Sunday 17:00 to Friday 17:00 New York, holidays or not. Shape (n,)."""
        return (self.day + MONDAY) // 7

    @property
    def minute_of_week(self) -> I4:
        """0 at Sunday 17:00 New York in winter and summer, 7,199 before Friday 17:00. Shape (n,)."""
        return (self.day + MONDAY) % 7 * DAY + self.minute_of_day

    def index(self, minute: int) -> int:
        """Position of the first grid minute at or after `minute`."""
        return int(np.searchsorted(self.minute, minute))

    def slice(self, start: int, stop: int) -> Grid:
        """Rows [start, stop) by position."""
        s = slice(start, stop)
        return Grid(self.minute[s], self.day[s], self.minute_of_day[s], self.seg_id[s], self.seg_age[s])


@dataclass(frozen=True)
class Calendar:
    """Which minutes are open. `version` names the holiday file, `holidays` are closed trade days."""

    version: str
    yearly: tuple[tuple[int, int], ...]
    dates: tuple[date, ...]

    @classmethod
    def load(cls, path: Path | None = None) -> Calendar:
        """Read a holiday file (TOML: version, yearly = ["MM-DD"], dates = ["YYYY-MM-DD"]); the default ships."""
        where = str(path) if path else "bqx/market/holidays.toml"
        try:
            raw = path.read_bytes() if path else resources.files("bqx.market").joinpath("holidays.toml").read_bytes()
            data = tomllib.loads(raw.decode("utf-8"))
            unknown = set(data) - {"version", "yearly", "dates"}
            if unknown:
                raise CalendarError(f"unknown keys {sorted(unknown)}", where=where)
            yearly = tuple((int(t[:2]), int(t[3:])) for t in data.get("yearly", []))
            for month, dom in yearly:
                date(2000, month, dom)
            dates = tuple(sorted(date.fromisoformat(str(t)) for t in data.get("dates", [])))
            version = str(data["version"])
        except (OSError, KeyError, ValueError) as exc:
            raise CalendarError(f"holiday file is not usable: {exc}", where=where, fix="see docs/calendar.md") from exc
        return cls(version, yearly, dates)

    @cached_property
    def _days(self) -> tuple[I8, I8, I8]:
        """Trade day numbers of all open days, their first minutes, and their segment's first day."""
        closed = set(self.dates)
        first = (date(FIRST_YEAR, 1, 1) - EPOCH).days
        last = (date(LAST_YEAR, 12, 31) - EPOCH).days
        days = []
        for n in range(first, last + 1):
            d = EPOCH + timedelta(days=n)
            if d.weekday() < 5 and (d.month, d.day) not in self.yearly and d not in closed:
                days.append(n)
        number = np.array(days, dtype=np.int64)
        start = np.array([_close_minute(n - 1) for n in days], dtype=np.int64)
        begins = np.r_[True, np.diff(number) != 1]
        segment = number[begins][np.cumsum(begins) - 1]
        return number, start, segment

    def _row(self, minute: I8) -> tuple[I8, NDArray[np.bool_]]:
        """Row of the latest open day that began at or before each minute, and whether the minute is in it."""
        _, start, _ = self._days
        row = np.searchsorted(start, minute, side="right") - 1
        return row, (row >= 0) & (minute - start[np.maximum(row, 0)] < DAY)

    def is_open(self, minute: I8) -> NDArray[np.bool_]:
        return self._row(np.asarray(minute, dtype=np.int64))[1]

    def ordinal(self, minute: int) -> int:
        """Number of open minutes before `minute`, counted from the first day the calendar knows."""
        _, start, _ = self._days
        row = int(np.searchsorted(start, minute, side="right")) - 1
        self._guard(row)
        return row * DAY + min(int(minute - start[row]), DAY)

    def at_ordinal(self, ordinal: int) -> int:
        """The open minute with that many open minutes before it."""
        _, start, _ = self._days
        row, rest = divmod(ordinal, DAY)
        self._guard(row)
        return int(start[row]) + rest

    def segment_start(self, minute: int) -> int:
        """First minute of the segment that holds `minute`; of the latest one before it when closed."""
        number, start, segment = self._days
        row = int(np.searchsorted(start, minute, side="right")) - 1
        self._guard(row)
        return int(start[np.searchsorted(number, segment[row])])

    def week_start(self, minute: int, back: int = 0) -> int:
        """First open minute of the trading week `back` weeks before that of `minute`; of the next one with any when
        that week was closed. A closed minute counts to the week of the latest open one."""
        number, start, _ = self._days
        row = int(np.searchsorted(start, minute, side="right")) - 1
        self._guard(row)
        day = int(number[row])
        return int(start[np.searchsorted(number, day - (day + MONDAY) % 7 - 7 * back)])

    def trade_day(self, minute: int) -> int:
        """Trade day number of an open minute."""
        row, inside = self._row(np.array([minute], dtype=np.int64))
        if not inside[0]:
            raise CalendarError(f"{datetime_of(minute)} is not an open minute")
        return int(self._days[0][row[0]])

    def later_day(self, day: int, steps: int) -> int:
        """The trade day `steps` open days after `day`, counted from the next open one when `day` is closed."""
        number = self._days[0]
        row = int(np.searchsorted(number, day)) + steps
        self._guard(row)
        return int(number[row])

    def closes_week(self, day: int) -> bool:
        """Whether no later trade day of the same Monday-to-Friday week is open."""
        number = self._days[0]
        at = int(np.searchsorted(number, day, side="right"))
        monday = day - (EPOCH + timedelta(days=int(day))).weekday()
        return at == len(number) or int(number[at]) > monday + 4

    def segment_ids(self, minute: I8) -> I8:
        """Segment number of each minute, which must be open."""
        row, inside = self._row(np.asarray(minute, dtype=np.int64))
        if not inside.all():
            raise CalendarError(f"{datetime_of(int(minute[np.argmin(inside)]))} is not an open minute")
        return self._days[2][row]

    def _guard(self, row: int) -> None:
        if not 0 <= row < len(self._days[0]):
            raise CalendarError(f"outside the years {FIRST_YEAR}-{LAST_YEAR} that the calendar covers")

    def grid(self, start: int, end: int) -> Grid:
        """Open minutes of [start, end)."""
        number, first, segment = self._days
        lo = max(int(np.searchsorted(first, start, side="right")) - 1, 0)
        hi = int(np.searchsorted(first, end, side="left"))
        rows = np.arange(lo, hi)
        minute = (first[rows][:, None] + np.arange(DAY)).ravel()
        keep = (minute >= start) & (minute < end)
        row = np.repeat(rows, DAY)[keep]
        minute = minute[keep]
        offset = minute - first[row]
        age = (row - np.searchsorted(number, segment[row])) * DAY + offset
        as4 = np.int32
        return Grid(minute, number[row].astype(as4), offset.astype(as4), segment[row].astype(as4), age.astype(as4))

    def digest(self, start: int, end: int) -> str:
        """Hash of the open days that touch [start, end): all that a value in that span can know of the calendar."""
        number, first, segment = self._days
        lo = max(int(np.searchsorted(first, start, side="right")) - 1, 0)
        hi = int(np.searchsorted(first, end, side="left"))
        return hashlib.sha256(np.stack([number[lo:hi], segment[lo:hi]]).tobytes()).hexdigest()[:32]

    def closures(self, start: int, end: int) -> list[tuple[int, int]]:
        """Closed spans (first closed minute, first open minute) that begin inside [start, end)."""
        number, first, _ = self._days
        out = []
        lo = max(int(np.searchsorted(first, start, side="right")) - 1, 0)
        for row in range(lo, len(number) - 1):
            shut, opens = int(first[row]) + DAY, int(first[row + 1])
            if shut >= end:
                break
            if opens > shut and shut >= start:
                out.append((shut, opens))
        return out
