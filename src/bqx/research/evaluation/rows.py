"""Rows of one forecast table as arrays: truth, forecasts, baselines, and what they are told apart by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.market.calendar import Calendar
from bqx.research.evaluation.strata import sessions, terciles
from bqx.research.training.forecasts import INTERVALS, QUANTILES

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
TARGETS = ("y3", "y4")
POINT = {"y3": "f3", "y4": "f4"}
BASELINES = {
    "y3": {"persistence": "persist3", "climatology": "clim3"},
    "y4": {"persistence": "persist4", "climatology": "clim4"},
}


@dataclass(frozen=True)
class Rows:
    """Test rows of a pair and horizon that have a truth, in order of time; arrays (n,).

    truth : y3, y4. forecasts : by target, name -> forecast; "model" is the run's own, then baselines and other runs.
    quantiles (n, 5), intervals lo80, hi80, lo90, hi90 and p_up are of y4, empty or None when not trained. clean : the
    thirds of volatility come from earlier rows throughout.
    """

    pair: str
    horizon: int
    minute: I8
    position: I8
    fold: I8
    session: I8
    tercile: I8
    clean: bool
    sigma: F8
    cost: F8
    move: F8
    truth: Mapping[str, F8]
    forecasts: Mapping[str, Mapping[str, F8]]
    quantiles: F8 | None = None
    intervals: Mapping[str, F8] | None = None
    p_up: F8 | None = None

    def __len__(self) -> int:
        return len(self.position)


def rows_of(
    table: pl.DataFrame, pair: str, horizon: int, calendar: Calendar, others: Mapping[str, pl.DataFrame] | None = None
) -> Rows:
    """From a forecast table, and tables of other runs that are to be beaten; rows are those that all have.

    Raises EvaluationError when nothing is left, or when another run's truths are not these.
    """
    table = table.drop_nulls(["y3", "y4", "r"])
    for name, other in (others or {}).items():
        mine = other.select("position", f3="f3", f4="f4", t3="y3", t4="y4")
        mine = mine.rename({"f3": f"{name}|y3", "f4": f"{name}|y4"})
        table = table.join(mine, on="position", how="inner", maintain_order="left")
        odd = table.filter(((pl.col("y3") - pl.col("t3")).abs() > 1e-9) | ((pl.col("y4") - pl.col("t4")).abs() > 1e-9))
        if odd.height:
            raise EvaluationError(
                f"run {name} has other truths on {odd.height} of {table.height} common rows",
                where=f"{pair}, h = {horizon}",
                fix="compare runs of one dataset",
            )
        table = table.drop("t3", "t4")
    if table.is_empty():
        raise EvaluationError("no test row has a truth in every run", where=f"{pair}, h = {horizon}")
    minute = (table["ts_utc"].to_physical() // 60_000_000).to_numpy()
    fold = table["fold"].cast(pl.Int64).to_numpy()
    sigma = _f8(table["sigma"])
    tercile, clean = terciles(sigma, fold)
    forecasts: dict[str, dict[str, F8]] = {}
    for target in TARGETS:
        if table[POINT[target]].null_count():
            continue
        found = {"model": _f8(table[POINT[target]])}
        found |= {k: _f8(table[c]) for k, c in BASELINES[target].items() if not table[c].null_count()}
        found |= {k: _f8(table[f"{k}|{target}"]) for k in others or () if not table[f"{k}|{target}"].null_count()}
        forecasts[target] = found
    trained = not any(table[k].null_count() for k in QUANTILES)
    held = not any(table[k].null_count() for k in INTERVALS)
    return Rows(
        pair=pair,
        horizon=horizon,
        minute=minute,
        position=table["position"].to_numpy(),
        fold=fold,
        session=sessions(calendar, minute),
        tercile=tercile,
        clean=clean,
        sigma=sigma,
        cost=_f8(table["cost"]),
        move=_f8(table["r"]),
        truth={t: _f8(table[t]) for t in TARGETS},
        forecasts=forecasts,
        quantiles=np.column_stack([_f8(table[k]) for k in QUANTILES]) if trained else None,
        intervals={k: _f8(table[k]) for k in INTERVALS} if held else None,
        p_up=None if table["p_up"].null_count() else _f8(table["p_up"]),
    )


def _f8(column: pl.Series) -> F8:
    return column.cast(pl.Float64).to_numpy()
