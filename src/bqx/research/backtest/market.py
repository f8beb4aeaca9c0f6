"""Bars as a broker sees them: every pair's prices and half-spreads, minute by minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import BacktestInputError
from bqx.market.calendar import DAY, Calendar, Grid, months_between
from bqx.market.calendar import month_span as span_of_month
from bqx.research.backtest.spreads import assumed_half, daily_edge, quoted_halves, trailing_half

F8 = NDArray[np.float64]
Reader = Callable[[Sequence[str], int, int], Mapping[str, pl.DataFrame]]
"""(pairs, first minute, minute after the last) -> bars, such as `BarStore.read`."""
LEAD = 32 * DAY
"""Minutes before the span that estimates of spreads may look at: 22 trade days and two weekends more."""


class Quote(NamedTuple):
    """One pair's completed bar: mids, and half-spreads at open and close in bps."""

    open: float
    high: float
    low: float
    close: float
    half_open: float
    half_close: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A completed open minute. `day` trade day number, `minute_of_day` 0 at 17:00 New York, `segment` its number;
    `quotes` holds the pairs that were quoted in it."""

    minute: int
    day: int
    minute_of_day: int
    segment: int
    quotes: Mapping[str, Quote]


@dataclass(frozen=True)
class Market:
    """Arrays (minutes, pairs), NaN where a pair was not quoted. estimated : bars whose spread is assumed, (pairs,)."""

    grid: Grid
    pairs: tuple[str, ...]
    open: F8
    high: F8
    low: F8
    close: F8
    half_open: F8
    half_close: F8
    estimated: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.grid)

    def bars(self) -> Iterator[Bar]:
        """Minute by minute, in order."""
        g = self.grid
        fields = (self.open, self.high, self.low, self.close, self.half_open, self.half_close)
        for start in range(0, len(g), DAY):
            stop = min(start + DAY, len(g))
            columns = [[x[start:stop, j].tolist() for x in fields] for j in range(len(self.pairs))]
            heads = (x[start:stop].tolist() for x in (g.minute, g.day, g.minute_of_day, g.seg_id))
            for i, (minute, day, at, segment) in enumerate(zip(*heads, strict=True)):
                quotes = {
                    pair: Quote(*(c[i] for c in columns[j]))
                    for j, pair in enumerate(self.pairs)
                    if columns[j][3][i] == columns[j][3][i]  # not NaN
                }
                yield Bar(minute, day, at, segment, quotes)


@dataclass
class Feed:
    """Bars of a span, a month at a time; equal to one piece, whatever the months.

    cost : a fixed spread of a round trip in bps instead of quotes. Without quotes the half-spread is the larger of the
    assumed one (`spreads.PIPS`) and EDGE's of the trade days before.
    """

    read: Reader
    calendar: Calendar
    pairs: tuple[str, ...]
    start: int
    end: int
    cost: float | None = None
    _squares: dict[str, dict[int, float]] = field(default_factory=dict)

    def markets(self) -> Iterator[Market]:
        """Months in order; raises BacktestInputError when a pair has no bars at all in the span."""
        seen = dict.fromkeys(self.pairs, 0)
        for ym in months_between(self.start, self.end):
            first, last = span_of_month(ym)
            market = self.market(max(first, self.start), min(last, self.end))
            for j, pair in enumerate(self.pairs):
                seen[pair] += int(np.isfinite(market.close[:, j]).sum())
            if len(market):
                yield market
        if absent := [p for p, n in seen.items() if n == 0]:
            raise BacktestInputError(f"no bars of {', '.join(absent)} in the time of the forecasts",
                                     fix="import the bars that the dataset was made of")  # fmt: skip

    def market(self, start: int, end: int) -> Market:
        """Open minutes of [start, end)."""
        grid = self.calendar.grid(start, end)
        n, p = len(grid), len(self.pairs)
        arrays = {k: np.full((n, p), np.nan) for k in ("open", "high", "low", "close", "half_open", "half_close")}
        estimated = np.zeros(p, np.int64)
        frames = self.read(self.pairs, start, end)
        for j, pair in enumerate(self.pairs):
            frame = frames.get(pair)
            if frame is None or frame.is_empty() or not n:
                continue
            minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
            at = np.searchsorted(grid.minute, minute)
            ok = grid.minute[np.minimum(at, n - 1)] == minute
            rows = at[ok]
            for name in ("open", "high", "low", "close"):
                arrays[name][rows, j] = frame[name].to_numpy()[ok]
            halves = self._halves(pair, frame, grid, ok, rows)
            arrays["half_open"][rows, j], arrays["half_close"][rows, j], estimated[j] = halves
        return Market(grid, self.pairs, **arrays, estimated=estimated)

    def _halves(
        self, pair: str, frame: pl.DataFrame, grid: Grid, ok: NDArray[np.bool_], rows: NDArray[np.int64]
    ) -> tuple[F8, F8, int]:
        if self.cost is not None:
            fixed = np.full(len(rows), 0.5 * self.cost)
            return fixed, fixed, 0
        opening, closing = (x[ok] for x in quoted_halves(frame))
        lacking = ~(np.isfinite(opening) & np.isfinite(closing))
        if lacking.any():
            where = rows[lacking]
            day = grid.day[where].astype(np.int64)
            price = frame["close"].to_numpy()[ok][lacking]
            guess = assumed_half(pair, price, day, grid.minute_of_day[where].astype(np.int64))
            guess = np.maximum(guess, trailing_half(self._edge(pair), day))
            opening, closing = opening.copy(), closing.copy()
            opening[lacking], closing[lacking] = guess, guess
        return opening, closing, int(lacking.sum())

    def _edge(self, pair: str) -> dict[int, float]:
        """Daily squares from LEAD minutes before the span on, read once a pair; a day uses earlier ones only."""
        if pair not in self._squares:
            frame = self.read([pair], self.start - LEAD, self.end)[pair]
            self._squares[pair] = {} if frame.is_empty() else daily_edge(frame, self.calendar)
        return self._squares[pair]
