"""The forecasts of a run as the backtest needs them: one table a pair and horizon, arrays by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import BacktestInputError
from bqx.research.backtest.trader import Decision

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class Forecasts:
    """Rows (n,) in order of time. f4 : forecast of y4, positive = price rises. walk : the random walk's forecast of the
    change of M_h over the next h bars, -M_h(t) in units of sigma; NaN where it is not known."""

    pair: str
    horizon: int
    minute: I8
    fold: I8
    sigma: F8
    left: I8
    f4: F8
    walk: F8

    def __len__(self) -> int:
        return len(self.minute)

    def take(self, rows: NDArray[np.bool_] | I8) -> Forecasts:
        names = ("minute", "fold", "sigma", "left", "f4", "walk")
        return replace(self, **{k: getattr(self, k)[rows] for k in names})

    @classmethod
    def of_table(cls, pair: str, horizon: int, table: pl.DataFrame) -> Forecasts:
        """From a forecast table; BacktestInputError when the head of y4 was not trained."""
        if table["f4"].null_count():
            raise BacktestInputError(f"{pair} at {horizon} bars has no forecasts of y4",
                                     where="f4", fix="train the point head of y4; signals rest on it")  # fmt: skip
        minute = table["ts_utc"].to_physical().to_numpy() // 60_000_000
        f8 = {k: table[k].cast(pl.Float64).fill_null(np.nan).to_numpy() for k in ("sigma", "f4", "persist3")}
        fold, left = (table[k].cast(pl.Int64).to_numpy() for k in ("fold", "left"))
        return cls(pair, horizon, minute, fold, f8["sigma"], left, f8["f4"], -f8["persist3"])


@dataclass
class Decisions:
    """Rows of many tables in order of time, handed out minute by minute; within a minute in the tables' order.

    most : cap on the weight by (horizon, fold), such as Kelly's; folds that are absent get 0. None for no cap.
    """

    tables: list[Forecasts]
    most: Mapping[tuple[int, int], float] | None = None

    def __post_init__(self) -> None:
        sizes = [len(t) for t in self.tables]
        minute = np.concatenate([np.zeros(0, np.int64), *(t.minute for t in self.tables)])
        number = np.repeat(np.arange(len(sizes)), sizes)
        row = np.concatenate([np.zeros(0, np.int64), *(np.arange(k) for k in sizes)])
        order = np.lexsort((number, minute))
        self._minute, self._number, self._row = (x[order].tolist() for x in (minute, number, row))
        self._at = 0

    def of(self, minute: int) -> list[Decision]:
        """The decisions of a minute; minutes must be asked in order."""
        out: list[Decision] = []
        while self._at < len(self._minute) and self._minute[self._at] <= minute:
            if self._minute[self._at] == minute:
                out.append(self._decision(self.tables[self._number[self._at]], self._row[self._at]))
            self._at += 1
        return out

    def _decision(self, t: Forecasts, i: int) -> Decision:
        fold = int(t.fold[i])
        most = None if self.most is None else self.most.get((t.horizon, fold), 0.0)
        return Decision(t.pair, t.horizon, fold, float(t.f4[i]), float(t.sigma[i]), int(t.left[i]), most)
