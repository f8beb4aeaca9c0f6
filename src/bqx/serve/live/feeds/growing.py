"""A CSV file that another program appends to: `pair,ts_utc,open,high,low,close[,volume[,bid_* ask_*]]`."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bqx.base.errors import BqxError, FeedError
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.calendar import minute_of
from bqx.market.pairs import parse_pair
from bqx.serve.live.bar import FIELDS, Bar
from bqx.serve.live.clock import Clock, SteadyClock

NEEDED = ("pair", "ts_utc", *PRICE_COLUMNS)
PAUSE = 0.2
"""Seconds between two looks at the file."""


class GrowingFile:
    """Lines are read once they end in a newline. Reading begins at the file's first line: what live knows already is
    told apart by the book. Raises FeedError when the file is not there, has another header or became shorter.
    """

    def __init__(self, path: Path, clock: Clock | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self.path, self.clock, self._sleep = path, clock or SteadyClock(), sleep
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise FeedError(f"the feed cannot be read: {error.strerror}", where=str(path)) from error
        self._rest, self._line = b"", 0
        self._columns: list[str] = []

    def poll(self, timeout: float) -> Sequence[Bar] | None:
        """Never None: a file may always grow."""
        until = time.monotonic() + timeout
        while True:
            found = self._take()
            if found or time.monotonic() >= until:
                return found
            self._sleep(min(PAUSE, max(until - time.monotonic(), 0.0)))

    def _take(self) -> list[Bar]:
        if self.path.stat().st_size < self._file.tell():
            raise FeedError("the file became shorter", where=str(self.path), fix="append only; start live again")
        data = self._rest + self._file.read()
        *lines, self._rest = data.split(b"\n")
        found = []
        for text in lines:
            self._line += 1
            bar = self._parse(text.decode("utf-8", "replace").strip("\r"))
            if bar is not None:
                found.append(bar)
        return found

    def _parse(self, text: str) -> Bar | None:
        where = f"{self.path}:{self._line}"
        if not text.strip():
            return None
        cells = next(csv.reader([text]))
        if not self._columns:
            unknown = [c for c in cells if c not in ("pair", "ts_utc", *FIELDS)]
            missing = [c for c in NEEDED if c not in cells]
            if unknown or missing:
                raise FeedError(f"the header lacks {missing} and has unknown {unknown}", where=where)
            self._columns = cells
            return None
        if len(cells) != len(self._columns):
            raise FeedError(f"{len(cells)} cells for {len(self._columns)} columns", where=where)
        row = dict(zip(self._columns, cells, strict=True))
        try:
            stamp = datetime.fromisoformat(row["ts_utc"])
            minute = minute_of(stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC))
            values = tuple(float(row[name]) if row.get(name) else math.nan for name in FIELDS)
            return Bar(parse_pair(row["pair"]).name, minute, values)
        except (ValueError, BqxError) as error:
            raise FeedError(f"this is no bar: {error}", where=where) from error

    def close(self) -> None:
        self._file.close()
