"""Bars that have passed, as a batch panel: what fits are made from, and datasets without a live twin."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveError
from bqx.features.anchors import Anchors
from bqx.features.fits import Shelf
from bqx.features.streams import Streams
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.calendar import WEEK, Calendar, Grid, datetime_of
from bqx.market.panel import Panel

FIELDS = (*PRICE_COLUMNS, "volume")
GRID = ("minute", "day", "minute_of_day", "seg_id", "seg_age")


class Past:
    """The last bars of all pairs, one row after the other in arrays with room for more, so that a minute's rows cost
    their own size. It is filled from the bars again at every start and is no part of a live state.

    depth : open minutes to keep. fits : where estimates are kept. quotes : whether bid and ask are kept, too.
    """

    def __init__(self, calendar: Calendar, depth: int, fits: Shelf, *, quotes: bool = True) -> None:
        self.calendar, self.depth, self.fits, self._quotes = calendar, depth, fits, quotes
        self.anchors = Anchors()
        self._arrays: dict[str, NDArray[np.generic]] = {}
        self._rows = 0
        self._pairs: tuple[str, ...] = ()
        self._first = self._last = np.empty(0, dtype=np.int64)
        self._streams: dict[int, Streams] = {}

    def take(self, panel: Panel, anchors: Anchors) -> None:
        """Append the next rows, with the anchors known by then."""
        self.anchors, self._pairs, self._first, self._last = anchors, panel.pairs, panel.first, panel.last
        self._streams.clear()
        new = self._fields(panel)
        count = len(panel.grid)
        if not self._arrays or self._rows + count > len(self._arrays["minute"]):
            self._make_room(new, count)
        for name, value in new.items():
            self._arrays[name][self._rows : self._rows + count] = value
        self._rows += count

    def _fields(self, panel: Panel) -> Mapping[str, NDArray[np.generic]]:
        found: dict[str, NDArray[np.generic]] = {name: getattr(panel.grid, name) for name in GRID}
        found |= {name: getattr(panel, name) for name in FIELDS}
        found["fill_run"] = panel.fill_run
        return found | ({f"quote {k}": v for k, v in panel.quotes.items()} if self._quotes else {})

    def _make_room(self, new: Mapping[str, NDArray[np.generic]], count: int) -> None:
        """Move the last `depth` rows and those of their segment to the beginning of larger or equal arrays."""
        start = 0
        if self._rows > self.depth:
            ages = self._arrays["seg_age"]
            oldest = self._rows - self.depth
            start = max(oldest - int(ages[oldest]), 0)
        kept = self._rows - start
        room = max(kept + count, self.depth) + 2 * WEEK
        moved = {}
        for name, value in new.items():
            moved[name] = np.empty((room, *value.shape[1:]), dtype=value.dtype)
            if kept:
                moved[name][:kept] = self._arrays[name][start : self._rows]
        self._arrays, self._rows = moved, kept

    def rewind(self, minute: int) -> None:
        """Forget the rows from `minute` on: they come again, corrected."""
        self._streams.clear()
        if self._rows:
            self._rows = int(np.searchsorted(self._arrays["minute"][: self._rows], minute))

    @property
    def begin(self) -> int | None:
        """First minute kept, None when there is none."""
        return int(self._arrays["minute"][0]) if self._rows else None

    def panel(self, start: int, more: int = 0) -> Panel:
        """Rows from the segment start at or before minute `start`, or from the first kept one, not copied; then `more`
        open minutes in which no pair has a bar."""
        if not self._rows:
            raise LiveError("no bars have passed yet")
        begin = max(self.calendar.segment_start(start), self.begin or 0)
        row = int(np.searchsorted(self._arrays["minute"][: self._rows], begin))
        parts = {name: value[row : self._rows] for name, value in self._arrays.items()}
        if more:
            parts = self._extended(parts, more)
        grid = Grid(**{name: parts[name] for name in GRID})  # type: ignore[arg-type]
        if grid.seg_age[0] != 0:
            raise LiveError(
                f"bars are kept from {datetime_of(begin):%Y-%m-%dT%H:%MZ}, inside a segment",
                fix="start live at a segment's first minute",
            )
        quotes = {key.removeprefix("quote "): v for key, v in parts.items() if key.startswith("quote ")}
        named = {name: parts[name] for name in (*FIELDS, "fill_run")}
        return Panel(grid=grid, pairs=self._pairs, first=self._first, last=self._last, quotes=quotes, **named)  # type: ignore[arg-type]

    def _extended(self, parts: Mapping[str, NDArray[np.generic]], more: int) -> dict[str, NDArray[np.generic]]:
        last = self.calendar.ordinal(int(parts["minute"][-1]))
        grid = self.calendar.grid(self.calendar.at_ordinal(last + 1), self.calendar.at_ordinal(last + more) + 1)
        out = {}
        for name, value in parts.items():
            blank = np.full((more, *value.shape[1:]), 1 if name == "fill_run" else np.nan, dtype=np.float64)
            tail = getattr(grid, name) if name in GRID else blank.astype(value.dtype)
            out[name] = np.concatenate([value, tail])
        return out

    def streams(self, start: int) -> Streams:
        """Batch streams of :meth:`panel`, kept until the next rows come."""
        begin = max(self.calendar.segment_start(start), self.begin or 0)
        if begin not in self._streams:
            self._streams[begin] = Streams(self.panel(start), self.calendar, self.anchors, self.fits)
        return self._streams[begin]
