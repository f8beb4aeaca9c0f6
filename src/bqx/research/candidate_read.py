"""Candidates of one pair out of the store, a month at a time: columns as built, lags made when read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import DatasetError
from bqx.market.calendar import Calendar, datetime_of, month_span, months_between
from bqx.research.candidates import Candidate

if TYPE_CHECKING:
    from bqx.store.contract import FeatureStore

F4 = NDArray[np.float32]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Candidates at consecutive open minutes: minute, position, seg_age (n,), X float32 (n, columns), NaN for NULL.

    X lies in memory column by column.
    """

    minute: I8
    position: I8
    seg_age: I8
    X: F4

    def __len__(self) -> int:
        return len(self.minute)


def read_blocks(
    store: FeatureStore,
    calendar: Calendar,
    pair: str,
    start: int,
    end: int,
    chosen: Sequence[Candidate],
    as_of: int | None = None,
) -> Iterator[Block]:
    """Blocks of at most a month that cover the open minutes of [start, end) without a hole.

    A lag is the value that many open minutes before, of the same segment, else NULL. Memory: one month. Raises
    DatasetError when rows are absent that the calendar has, StoreError when a dataset or column is not built.
    """
    for ym in months_between(start, end):
        low, high = month_span(ym)
        grid = calendar.grid(max(low, start), min(high, end))
        if len(grid):
            yield _block(store, calendar, pair, grid.minute, chosen, as_of)


def _block(
    store: FeatureStore, calendar: Calendar, pair: str, minute: I8, chosen: Sequence[Candidate], as_of: int | None
) -> Block:
    longest = max((c.lag for c in chosen), default=0)
    first, last = int(minute[0]), int(minute[-1])
    begin = calendar.at_ordinal(max(calendar.ordinal(calendar.segment_start(first)), calendar.ordinal(first) - longest))
    grid = calendar.grid(begin, last + 1)
    head = len(grid) - len(minute)
    age = grid.seg_age.astype(np.int64)
    X = np.full((len(chosen), len(minute)), np.nan, dtype=np.float32)
    homes: dict[str, list[int]] = {}
    for k, c in enumerate(chosen):
        homes.setdefault(c.dataset, []).append(k)
    for home, members in homes.items():
        names = list(dict.fromkeys(chosen[k].column for k in members))
        frame = store.read(home, [pair], (begin, last + 1), names, as_of).collect()
        rows = _place(frame, grid.minute, head, home, pair)
        whole = np.full(len(grid), np.nan, dtype=np.float32)
        for name in names:
            whole[rows] = frame[name].cast(pl.Float32).fill_null(np.nan).to_numpy()
            for k in members:
                if chosen[k].column == name:
                    _lagged(X[k], whole, age, head, chosen[k].lag)
    position = calendar.ordinal(first) + np.arange(len(minute), dtype=np.int64)
    return Block(minute, position, age[head:], X.T)


def _place(frame: pl.DataFrame, minute: I8, head: int, home: str, pair: str) -> I8:
    """Rows of the grid that a dataset's rows belong to; the block's own minutes must all be there."""
    have = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    rows = np.searchsorted(minute, have)
    own = minute[head:]
    if len(have) < len(own) or not np.array_equal(have[len(have) - len(own) :], own):
        gone = np.setdiff1d(own, have)
        at = datetime_of(int(gone[0] if len(gone) else own[0])).isoformat()
        raise DatasetError(
            f"{home} has {len(have):,} of the {len(own):,} rows that {pair} must have there; the first absent is {at}",
            where=f"{home} {pair}",
            fix="`bqx build verify` says why; `bqx build run` makes them",
        )
    return np.asarray(rows, dtype=np.int64)


def _lagged(out: F4, whole: F4, age: I8, head: int, lag: int) -> None:
    if lag == 0:
        out[:] = whole[head:]
        return
    rows = np.arange(head, len(whole))
    ok = (age[rows] >= lag) & (rows >= lag)
    out[ok] = whole[rows[ok] - lag]
