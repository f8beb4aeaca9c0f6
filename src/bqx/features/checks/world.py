"""Bars a check can bend: frames, and values computed from them the way a build does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.features.anchors import Anchors, find_baseline, segment_edges
from bqx.features.catalogue import earliest
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.streams import Streams
from bqx.features.support import View
from bqx.market.calendar import DAY, Calendar, datetime_of
from bqx.market.panel import Panel, make_panel
from bqx.market.schedule import Schedule

F8 = NDArray[np.float64]
Kept = tuple[Dataset, dict[str, F8]]


def trading_day_after(calendar: Calendar, minute: int) -> int:
    """A T0 for bars that begin at a minute: 1,440 open minutes later, so that a bar follows within a day of it."""
    return calendar.at_ordinal(calendar.ordinal(minute) + 1440)


@dataclass(frozen=True)
class World:
    """Bars of some pairs (BARS_SCHEMA, sorted, unique, open minutes) and T0.

    few : pairs that suffice for datasets in which a pair sees only itself; empty for all. schedule : of events.
    """

    frames: Mapping[str, pl.DataFrame]
    calendar: Calendar
    t0: int
    pairs: tuple[str, ...] = field(default=())
    few: tuple[str, ...] = field(default=())
    schedule: Schedule | None = None
    _kept: dict[str, Kept] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", self.pairs or tuple(self.frames))

    @property
    def span(self) -> tuple[int, int]:
        """First minute with a bar and the minute after the last, over all pairs."""
        stamps = [f["ts_utc"].to_physical() // 60_000_000 for f in self.frames.values() if len(f)]
        return min(int(s[0]) for s in stamps), max(int(s[-1]) for s in stamps) + 1

    def only(self, pairs: Sequence[str]) -> World:
        return replace(self, frames={p: self.frames[p] for p in pairs}, pairs=tuple(pairs))

    def recent(self, days: int) -> World:
        """The last `days` days of it (all when there are not as many), from a segment's start; T0 1,440 bars later."""
        first, last = self.span
        start = max(first, self.calendar.segment_start(last - days * DAY))
        if start == first:
            return self
        edge = datetime_of(start)
        frames = {p: f.filter(pl.col("ts_utc") >= edge) for p, f in self.frames.items()}
        return replace(self, frames=frames, t0=trading_day_after(self.calendar, start))

    def anchors(self) -> Anchors:
        found = {p: find_baseline(f, self.t0) for p, f in self.frames.items()}
        baseline = {p: (1, *b) for p, b in found.items() if b is not None}
        edges = {p: segment_edges(f, self.calendar) for p, f in self.frames.items()}
        return Anchors(self.t0, baseline, edges, self.schedule)

    def panel(self, start: int, end: int) -> Panel:
        """Bars of [start, end) on the grid, told of the whole history's first and last bar."""
        limits = {p: f["ts_utc"].to_physical() // 60_000_000 for p, f in self.frames.items() if len(f)}
        first = {p: int(s[0]) for p, s in limits.items()}
        last = {p: int(s[-1]) for p, s in limits.items()}
        low, high = datetime_of(start), datetime_of(end)
        part = {p: f.filter((pl.col("ts_utc") >= low) & (pl.col("ts_utc") < high)) for p, f in self.frames.items()}
        return make_panel(part, self.pairs, self.calendar.grid(start, end), first=first, last=last, quotes=True)

    def streams(self, home: Dataset, start: int, end: int) -> tuple[Streams, int]:
        """Streams loaded as a unit of [start, end) loads them, and the row of the first wanted minute."""
        begin = max(earliest(home, start, self.calendar), self.calendar.segment_start(self.span[0]))
        panel = self.panel(min(begin, start), end)
        return Streams(panel, self.calendar, self.anchors()), panel.grid.index(start)

    def values(self, home: Dataset, start: int, end: int, columns: Sequence[str] | None = None) -> dict[str, F8]:
        """Columns of a dataset over the open minutes of [start, end); arrays (minutes, pairs).

        Read-only when all columns over the whole span are asked for: the latest such answer is kept, for most checks
        begin with it.
        """
        if columns is not None or (start, end) != self.span:
            streams, row = self.streams(home, start, end)
            return evaluate(home, streams, columns, start_row=row)
        kept = self._kept.get("values")
        if kept is None or kept[0] is not home:
            streams, row = self.streams(home, start, end)
            found = evaluate(home, streams, start_row=row)
            for value in found.values():
                value.setflags(write=False)
            kept = self._kept["values"] = (home, found)
        return dict(kept[1])

    def view(self, start: int, end: int) -> View:
        """Counts for the declared NULL pattern, from all history."""
        panel = self.panel(self.calendar.segment_start(self.span[0]), end)
        return View(panel, self.calendar, self.anchors().minutes(self.pairs))

    def place(self, start: int, where: NDArray[np.bool_]) -> str:
        """The first true entry of a (minutes, pairs) mask whose first row is the first open minute from `start`."""
        if not where.any():
            return ""
        row, pair = np.argwhere(where)[0]
        minute = self.calendar.at_ordinal(self.calendar.ordinal(start) + int(row))
        return f"{self.pairs[pair]} {datetime_of(minute):%Y-%m-%dT%H:%MZ}"
