"""Bars of several pairs on the market grid: the arrays every stream and family starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS
from bqx.market.calendar import Calendar, Grid

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

MAX_CARRY = 5
"""A missing minute carries the last close for at most this many minutes, never across a closure."""

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Panel:
    """Bars on the grid; every array has shape (len(grid), len(pairs)), C order, NaN for NULL.

    open, high, low, close : float64 mid prices; a missing minute carries the last close (o = h = l = c).
    volume : float64, 0 in a missing minute, NaN when the source has none.
    fill_run : int32, 0 where a bar was quoted, else the length of the run of missing minutes so far in the segment.
    quotes : bid_* and ask_* fields of quoted minutes, empty unless asked for.
    first : int64 (pairs,), minute of the pair's first bar ever (not of this span); NEVER without bars.
    last : int64 (pairs,), minute of the pair's last known bar, -1 without bars.
    """

    grid: Grid
    pairs: tuple[str, ...]
    open: F8
    high: F8
    low: F8
    close: F8
    volume: F8
    fill_run: I4
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    quotes: Mapping[str, F8] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.grid), len(self.pairs)

    @property
    def filled(self) -> NDArray[np.bool_]:
        return self.fill_run > 0

    def slice(self, start: int, stop: int) -> Panel:
        """Rows [start, stop) by position; `first` and `last` stay those of the whole history."""
        s = slice(start, stop)
        return replace(
            self,
            grid=self.grid.slice(start, stop),
            open=self.open[s],
            high=self.high[s],
            low=self.low[s],
            close=self.close[s],
            volume=self.volume[s],
            fill_run=self.fill_run[s],
            quotes={k: v[s] for k, v in self.quotes.items()},
        )


def bars_in_stream(panel: Panel, calendar: Calendar) -> NDArray[np.int64]:
    """Open minutes since each pair's first bar, that minute included; 0 before it. Shape (n, pairs)."""
    base = calendar.ordinal(int(panel.grid.minute[0])) if len(panel.grid) else 0
    position = base + np.arange(len(panel.grid))[:, None]
    first = np.array([calendar.ordinal(int(m)) if m != NEVER else NEVER // 2 for m in panel.first])
    stream: NDArray[np.int64] = np.maximum(position - first[None, :] + 1, 0)
    return stream


def make_panel(
    frames: Mapping[str, pl.DataFrame],
    pairs: tuple[str, ...],
    grid: Grid,
    *,
    first: Mapping[str, int] | None = None,
    last: Mapping[str, int] | None = None,
    quotes: bool = False,
) -> Panel:
    """Put bars (schema of `bqx.market.bars`, one frame a pair, sorted, unique) on the grid and carry short gaps.

    `grid` must begin at a segment start, or carries at its head would be lost. `first` and `last` come from the
    whole history; without them the frames are taken to be the whole history.
    """
    n, p = len(grid), len(pairs)
    names = (*PRICE_COLUMNS, "volume", *(QUOTE_COLUMNS if quotes else ()))
    arrays = {name: np.full((n, p), np.nan) for name in names}
    quoted = np.zeros((n, p), dtype=bool)
    lo, hi = np.full(p, NEVER, dtype=np.int64), np.full(p, -1, dtype=np.int64)
    for j, pair in enumerate(pairs):
        frame = frames.get(pair)
        if frame is None or frame.is_empty():
            continue
        minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
        lo[j], hi[j] = minute[0], minute[-1]
        at = np.searchsorted(grid.minute, minute)
        ok = (at < n) & (grid.minute[np.minimum(at, max(n - 1, 0))] == minute) if n else np.zeros(len(minute), bool)
        at = at[ok]
        quoted[at, j] = True
        for name in names:
            arrays[name][at, j] = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()[ok]
    if first is not None:
        lo = np.array([first.get(q, NEVER) for q in pairs], dtype=np.int64)
    if last is not None:
        hi = np.array([last.get(q, -1) for q in pairs], dtype=np.int64)
    fill_run = _fill_runs(quoted, grid.seg_age)
    _carry(arrays, quoted, fill_run, grid.seg_age)
    quote_arrays = {k: arrays[k] for k in QUOTE_COLUMNS} if quotes else {}
    prices = {name: arrays[name] for name in (*PRICE_COLUMNS, "volume")}
    return Panel(grid=grid, pairs=pairs, **prices, fill_run=fill_run, first=lo, last=hi, quotes=quote_arrays)


def _fill_runs(quoted: NDArray[np.bool_], seg_age: I4) -> I4:
    """Length of the current run of missing minutes, counted anew from each segment start."""
    rows = np.arange(len(quoted))[:, None]
    start = rows - seg_age[:, None]
    latest = np.maximum.accumulate(np.where(quoted, rows, -1), axis=0)
    return np.where(quoted, 0, rows - np.maximum(latest, start - 1)).astype(np.int32)


def _carry(arrays: dict[str, F8], quoted: NDArray[np.bool_], fill_run: I4, seg_age: I4) -> None:
    """Carry the last close into at most MAX_CARRY missing minutes of the same segment."""
    rows = np.arange(len(quoted))[:, None]
    source = rows - fill_run
    carried = (fill_run > 0) & (fill_run <= MAX_CARRY) & (fill_run <= seg_age[:, None]) & (source >= 0)
    at, pair = np.nonzero(carried)
    close = arrays["close"][source[at, pair], pair]
    for name in PRICE_COLUMNS:
        arrays[name][at, pair] = close
    has_volume = ~np.isnan(arrays["volume"][source[at, pair], pair])
    arrays["volume"][at[has_volume], pair[has_volume]] = 0.0
