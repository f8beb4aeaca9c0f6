"""time_dual: where the minute lies in the trading day and week. The same for all pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Dataset, Dtype
from bqx.features.kernels.mathfun import turn
from bqx.features.streams import Streams
from bqx.features.support import Always
from bqx.market.calendar import DAY, EPOCH, NEW_YORK, WEEK, Calendar, Grid, datetime_of

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

SESSIONS = (
    ("Tokyo", ZoneInfo("Asia/Tokyo"), 9, 18),
    ("London", ZoneInfo("Europe/London"), 8, 17),
    ("New York", NEW_YORK, 8, 17),
)
"""Name, zone, first and last local hour of the three sessions, civil time with its daylight saving."""

APPROACH = 240
ROLLOVER = (5, 10)
"""Minutes before and after 17:00 New York."""


@lru_cache(maxsize=65536)
def session_minutes(day: int) -> tuple[tuple[int, int], ...]:
    """Minute of the trade day at which each session opens and closes."""
    date = EPOCH + timedelta(days=day)
    start = datetime.combine(date - timedelta(days=1), datetime.min.time(), NEW_YORK).replace(hour=17).timestamp()
    out = []
    for _, zone, opens, closes in SESSIONS:
        noon = datetime.combine(date, datetime.min.time(), zone)
        first, last = (int(noon.replace(hour=h).timestamp() - start) // 60 for h in (opens, closes))
        out.append((first, last))
    return tuple(out)


def _by_day(grid: Grid, of_day: Callable[[int], Sequence[int]]) -> NDArray[np.int64]:
    """`of_day(day)` spread over the minutes of each day. Shape (n, k)."""
    days, row = np.unique(grid.day, return_inverse=True)
    table: I8 = np.array([of_day(int(d)) for d in days], dtype=np.int64).reshape(len(days), -1)
    spread: I8 = table[row]
    return spread


def _open_sessions(grid: Grid) -> NDArray[np.bool_]:
    """Whether Tokyo, London, New York are open. Shape (n, 3)."""
    edges = _by_day(grid, lambda d: [m for edge in session_minutes(d) for m in edge])
    minute = grid.minute_of_day[:, None]
    return (minute >= edges[:, 0::2]) & (minute < edges[:, 1::2])


def _since_open(grid: Grid) -> I8:
    """Open minutes since the latest session open; before the day's first, since New York opened the day before."""
    edges = _by_day(grid, lambda d: [edge[0] for edge in session_minutes(d)])
    minute = grid.minute_of_day[:, None].astype(np.int64)
    since = np.where(minute >= edges, minute - edges, DAY + minute - edges[:, 2:3])
    latest: I8 = since.min(axis=1)
    return latest


def _session_code(grid: Grid) -> I8:
    """0 none, 1 Tokyo, 2 London, 3 New York, 4 London and New York; London counts before Tokyo when both are open."""
    tokyo, london, new_york = _open_sessions(grid).T
    code = np.where(tokyo, 1, 0)
    code = np.where(london, 2, code)
    code = np.where(new_york, 3, code)
    return np.where(london & new_york, 4, code)


def _angle(position: NDArray[np.int32] | I8, period: int, cosine: bool) -> F8:
    table = np.array([turn(k, period)[int(cosine)] for k in range(period)])
    return np.asarray(table[position])


def _weekday(grid: Grid) -> I8:
    return (grid.day.astype(np.int64) + EPOCH.weekday()) % 7


def _approach(streams: Streams) -> NDArray[np.bool_]:
    grid, calendar = streams.panel.grid, streams.calendar
    last_day = _by_day(grid, lambda d: [int(calendar.closes_week(d))])[:, 0]
    return np.asarray((last_day == 1) & (grid.minute_of_day >= DAY - APPROACH))


_FORMULAS: dict[str, Callable[[Streams], NDArray[np.generic]]] = {
    "hour_sin": lambda s: _angle(s.panel.grid.minute_of_day, DAY, cosine=False),
    "hour_cos": lambda s: _angle(s.panel.grid.minute_of_day, DAY, cosine=True),
    "day_of_week_sin": lambda s: _angle(_weekday(s.panel.grid), 5, cosine=False),
    "day_of_week_cos": lambda s: _angle(_weekday(s.panel.grid), 5, cosine=True),
    "session_overlap": lambda s: _open_sessions(s.panel.grid).sum(axis=1),
    "is_weekend_approach": _approach,
    "minutes_since_market_open": lambda s: _since_open(s.panel.grid),
    "trading_session": lambda s: _session_code(s.panel.grid),
    "minutes_to_week_close": lambda s: WEEK - _weekday(s.panel.grid) * DAY - s.panel.grid.minute_of_day,
    "is_rollover_window": lambda s: (
        (s.panel.grid.minute_of_day >= DAY - ROLLOVER[0]) | (s.panel.grid.minute_of_day < ROLLOVER[1])
    ),
}


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    shape = streams.panel.shape
    return {name: np.ones(shape) * _FORMULAS[name](streams).astype(np.float64)[:, None] for name in names}


def _reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """From civil time in each city, minute by minute, without trade days."""
    minute = int(streams.panel.grid.minute[row])
    now = datetime_of(minute)
    local = now.astimezone(NEW_YORK)
    since_five = (local.hour * 60 + local.minute - 17 * 60) % DAY
    weekday = (local + timedelta(hours=7)).weekday()
    if column.startswith(("hour", "day_of_week")):
        turns = since_five / DAY if column.startswith("hour") else weekday / 5
        angle = 2.0 * np.pi * turns
        return float(np.cos(angle) if column.endswith("cos") else np.sin(angle))
    is_open = [_civil(now, zone, a, b) for _, zone, a, b in SESSIONS]
    if column == "session_overlap":
        return float(sum(is_open))
    if column == "trading_session":
        tokyo, london, york = is_open
        return 4.0 if london and york else 3.0 if york else 2.0 if london else 1.0 if tokyo else 0.0
    if column == "minutes_to_week_close":
        return float((5 - weekday) * DAY - since_five)
    if column == "is_rollover_window":
        return float((local.hour, local.minute) >= (16, 55) and (local.hour, local.minute) < (17, 10))
    if column == "is_weekend_approach":
        return float(_closes_within(streams.calendar, minute))
    age = 0  # minutes_since_market_open: walk back over open minutes to an opening
    at = streams.calendar.ordinal(minute)
    while True:
        then = datetime_of(streams.calendar.at_ordinal(at - age))
        hours = [(then.astimezone(zone), a) for _, zone, a, _ in SESSIONS]
        if any(t.hour == a and t.minute == 0 for t, a in hours):
            return float(age)
        age += 1


def _civil(now: datetime, zone: ZoneInfo, opens: int, closes: int) -> bool:
    local = now.astimezone(zone)
    return opens <= local.hour < closes


def _closes_within(calendar: Calendar, minute: int) -> bool:
    """Whether a closure that holds a Saturday begins within the next 240 open minutes."""
    for shut, opens in calendar.closures(minute, minute + APPROACH + 1):
        days = range(shut, opens, DAY // 2)
        if any(datetime_of(m).weekday() == 5 for m in days):
            return minute >= shut - APPROACH
    return False


def _columns() -> tuple[Column, ...]:
    def column(
        name: str, unit: str, formula: str, low: float, high: float, dtype: Dtype = "i2", zero: str = ""
    ) -> Column:
        tags = frozenset({"zero_ok"}) if zero else frozenset()
        return Column(name, unit, formula, Always(), "NONE", dtype, (low, high), tags, zero)

    origin = "the angle is 0 at the origin"
    return (
        column("hour_sin", "–", "sin(2 pi m / 1440), m = minutes since 17:00 New York", -1, 1, "f4", origin),
        column("hour_cos", "–", "cos(2 pi m / 1440)", -1, 1, "f4", origin),
        column("day_of_week_sin", "–", "sin(2 pi d / 5), d = 0..4, Sunday evening = Monday", -1, 1, "f4", origin),
        column("day_of_week_cos", "–", "cos(2 pi d / 5)", -1, 1, "f4", origin),
        column("session_overlap", "0–3", "number of the three sessions open", 0, 3, zero="a count"),
        column("is_weekend_approach", "flag", "1 in the last 240 open minutes of the week", 0, 1, zero="a flag"),
        column("minutes_since_market_open", "min", "open minutes since the latest session open among the three", 0, DAY,
               "f4", "the opening minute itself"),
        column("trading_session", "code", "0 none, 1 Tokyo, 2 London, 3 New York, 4 both of them", 0, 4,
               zero="a code"),
        column("minutes_to_week_close", "min", "minutes to Friday 17:00 New York", 1, WEEK, "f4"),
        column("is_rollover_window", "flag", "1 in 16:55-17:10 New York", 0, 1, zero="a flag"),
    )  # fmt: skip


DATASET = Dataset(
    family="time",
    domain="dual",
    columns=_columns(),
    compute=_compute,
    reference=_reference,
    stage="1.8.1",
    summary="Time of day and week, sessions in local civil time, closeness of the weekly close.",
)
