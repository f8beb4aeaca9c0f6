"""Bars as they come into rows of a panel: short gaps are carried as in `bqx.market.panel.make_panel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveStateError
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.calendar import Grid
from bqx.market.panel import MAX_CARRY, NEVER, Panel

F8 = NDArray[np.float64]


class Carry:
    """Of each pair: the last close of the segment, minutes since its quote, whether the quote had a volume, and the
    first and last minute with a bar."""

    def __init__(self, pairs: Sequence[str]) -> None:
        lanes = len(pairs)
        self.pairs = tuple(pairs)
        self.close, self.counted = np.full(lanes, np.nan), np.zeros(lanes, dtype=bool)
        self.run = np.zeros(lanes, dtype=np.int64)
        self.first, self.last = np.full(lanes, NEVER, dtype=np.int64), np.full(lanes, -1, dtype=np.int64)

    def fill(self, panel: Panel) -> None:
        """Stand where the last row of a batch panel does; the panel begins at or before that row's segment."""
        lanes = np.arange(len(self.pairs))
        self.run[:] = panel.fill_run[-1]
        self.first[:], self.last[:] = panel.first, panel.last
        quoted = len(panel.grid) - 1 - self.run  # of each pair, the row of its latest quote
        inside = self.run <= int(panel.grid.seg_age[-1])
        at = np.where(inside, quoted, 0)
        self.close[:] = np.where(inside, panel.close[at, lanes], np.nan)
        self.counted[:] = inside & ~np.isnan(panel.volume[at, lanes])

    def panel(self, grid: Grid, bars: Mapping[str, F8], quotes: Mapping[str, F8]) -> Panel:
        """The next rows. bars : open, high, low, close, volume (rows, pairs), NaN where no bar came."""
        n, lanes = len(grid), len(self.pairs)
        arrays = {name: np.array(bars[name], dtype=np.float64) for name in (*PRICE_COLUMNS, "volume")}
        fill = np.zeros((n, lanes), dtype=np.int32)
        for i in range(n):
            quoted = ~np.isnan(arrays["close"][i])
            age = int(grid.seg_age[i])
            if age == 0:
                self.close[:], self.counted[:], self.run[:] = np.nan, False, 0
            self.run[:] = np.where(quoted, 0, self.run + 1)
            fill[i] = self.run
            carried = ~quoted & (self.run <= MAX_CARRY) & ~np.isnan(self.close)
            for name in PRICE_COLUMNS:
                arrays[name][i, carried] = self.close[carried]
            arrays["volume"][i, carried & self.counted] = 0.0
            self.close[quoted] = arrays["close"][i, quoted]
            self.counted[quoted] = ~np.isnan(arrays["volume"][i, quoted])
            minute = int(grid.minute[i])
            self.first[quoted & (self.first == NEVER)] = minute
            self.last[quoted] = minute
        prices = {name: arrays[name] for name in (*PRICE_COLUMNS, "volume")}
        return Panel(grid=grid, pairs=self.pairs, **prices, fill_run=fill, first=self.first.copy(),
                     last=self.last.copy(), quotes=dict(quotes))  # fmt: skip

    def state(self) -> dict[str, NDArray[Any]]:
        names = ("close", "counted", "run", "first", "last")
        return {name: getattr(self, name).copy() for name in names}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        mine = self.state()
        if {k: v.shape for k, v in mine.items()} != {k: v.shape for k, v in state.items()}:
            raise LiveStateError("the state is of another set of pairs")
        for name in mine:
            getattr(self, name)[...] = state[name]
