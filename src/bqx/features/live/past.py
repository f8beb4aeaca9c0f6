"""Bars that have passed, as a batch panel: what fits are made from, and datasets without a live twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bqx.base.errors import LiveError
from bqx.features.anchors import Anchors
from bqx.features.fits import Shelf
from bqx.features.streams import Streams
from bqx.market.calendar import Calendar, Grid, datetime_of
from bqx.market.panel import Panel


class Past:
    """The last bars of all pairs. It is filled from the bars again at every start and is no part of a live state.

    depth : open minutes to keep; segments are dropped whole. fits : where estimates are kept.
    """

    def __init__(self, calendar: Calendar, depth: int, fits: Shelf) -> None:
        self.calendar, self.depth, self.fits = calendar, depth, fits
        self.anchors = Anchors()
        self._parts: list[Panel] = []
        self._streams: dict[int, Streams] = {}

    def take(self, panel: Panel, anchors: Anchors) -> None:
        """Append the next rows, with the anchors known by then."""
        self._parts.append(panel)
        self.anchors = anchors
        self._streams.clear()
        if len(self._parts) > 512:
            self._parts = [join(self._parts)]
        newest = int(panel.grid.minute[-1])
        keep = self.calendar.segment_start(self.calendar.at_ordinal(self.calendar.ordinal(newest) - self.depth))
        while len(self._parts) > 1 and self._parts[1].grid.minute[0] <= keep:
            self._parts.pop(0)
        if len(self._parts) == 1 and len(self._parts[0].grid) > 2 * self.depth:
            whole = self._parts[0]
            self._parts = [whole.slice(whole.grid.index(keep), len(whole.grid))]

    def rewind(self, minute: int) -> None:
        """Forget the rows from `minute` on: they come again, corrected."""
        self._streams.clear()
        kept = []
        for part in self._parts:
            stop = part.grid.index(minute)
            if stop:
                kept.append(part if stop == len(part.grid) else part.slice(0, stop))
        self._parts = kept

    @property
    def begin(self) -> int | None:
        """First minute kept, None when there is none."""
        return int(self._parts[0].grid.minute[0]) if self._parts else None

    def streams(self, start: int) -> Streams:
        """Batch streams of all rows from the segment start at or before minute `start`, or from the first kept one."""
        if not self._parts:
            raise LiveError("no bars have passed yet")
        if len(self._parts) > 1:
            self._parts = [join(self._parts)]
        whole = self._parts[0]
        begin = max(self.calendar.segment_start(start), self.begin or 0)
        row = whole.grid.index(begin)
        if whole.grid.seg_age[row] != 0:
            raise LiveError(
                f"bars are kept from {datetime_of(begin):%Y-%m-%dT%H:%MZ}, inside a segment",
                fix="start live at a segment's first minute",
            )
        if row not in self._streams:
            self._streams[row] = Streams(whole.slice(row, len(whole.grid)), self.calendar, self.anchors, self.fits)
        return self._streams[row]


def join(parts: Sequence[Panel]) -> Panel:
    """Panels that follow one another as one; `first` and `last` are those of the newest."""
    newest = parts[-1]
    names = ("open", "high", "low", "close", "volume", "fill_run")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    grids = [part.grid for part in parts]
    fields = ("minute", "day", "minute_of_day", "seg_id", "seg_age")
    grid = Grid(*(np.concatenate([getattr(g, name) for g in grids]) for name in fields))
    quotes = {key: np.concatenate([part.quotes[key] for part in parts]) for key in newest.quotes}
    return replace(newest, grid=grid, quotes=quotes, **arrays)  # type: ignore[arg-type]
