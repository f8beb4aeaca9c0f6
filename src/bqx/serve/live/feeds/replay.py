"""Stored bars as if they came now, at any speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl

from bqx.market.calendar import Calendar
from bqx.serve.live.bar import FIELDS, Bar
from bqx.serve.live.clock import FeedClock
from bqx.store.bars import BarStore

READ = 1440
"""Minutes read from the store at a time."""
AFTER = 3600.0
"""Seconds after its end at which the clock of a finished replay stands: beyond any grace."""


class Replay:
    """Bars of [start, end) from a project's store, a minute a poll.

    speed : minutes of the market a minute of yours, 0 for as fast as they are taken. Minutes in which no pair has a bar
    and closures take no time.
    """

    def __init__(
        self,
        bars: BarStore,
        calendar: Calendar,
        pairs: Sequence[str],
        start: int,
        end: int,
        *,
        speed: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.clock = FeedClock()
        self._bars, self._calendar, self._pairs = bars, calendar, list(pairs)
        self._start, self._end, self._pause, self._sleep = start, end, 60.0 / speed if speed else 0.0, sleep
        self._minutes = self._read()

    def _read(self) -> Iterator[tuple[int, list[Bar]]]:
        for start in range(self._start, self._end, READ):
            end = min(start + READ, self._end)
            found: dict[int, list[Bar]] = {}
            for pair, frame in self._bars.read(self._pairs, start, end).items():
                for bar in bars_of(pair, frame):
                    found.setdefault(bar.minute, []).append(bar)
            yield from sorted(found.items())

    def poll(self, timeout: float) -> Sequence[Bar] | None:
        found = next(self._minutes, None)
        if found is None:
            self.clock.set(60.0 * self._end + AFTER)  # what the last minute lacks will not come
            return None
        minute, bars = found
        if self._pause:
            self._sleep(self._pause)
        self.clock.set(60.0 * (minute + 1) + 1.0)
        return bars

    def close(self) -> None:
        self._minutes = iter(())


def bars_of(pair: str, frame: pl.DataFrame) -> Iterator[Bar]:
    """Bars of one pair's frame (BARS_SCHEMA)."""
    minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    values = frame.select(FIELDS).cast(pl.Float64).fill_null(np.nan).to_numpy()
    for m, row in zip(minute.tolist(), values.tolist(), strict=True):
        yield Bar(pair, int(m), tuple(row))
