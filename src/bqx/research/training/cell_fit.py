"""One cell: fit on its training window, forecast its test block."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.research.artefact.horizon import COLUMNS, HorizonModel, fit_together
from bqx.research.artefact.pool import indicators
from bqx.research.training.cells import Cell
from bqx.research.training.forecasts import FORECASTS, SCHEMA, check_forecasts
from bqx.research.training.judge import TARGETS, plain
from bqx.research.training.rows import PairRows, target_pair
from bqx.research.trials import Trial

if TYPE_CHECKING:
    from bqx.research.training.order import Order

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class Done:
    """What a cell gives: a table a pair, facts for the receipt, trials for the ledger, core-seconds."""

    cell: Cell
    tables: dict[str, pl.DataFrame]
    facts: dict[str, Any]
    trials: list[Trial]
    seconds: float


def fit_cell(order: Order, cell: Cell, rows: Mapping[str, PairRows]) -> Done:
    """Fit and forecast. The result depends on nothing but its arguments: no clock, thread or other cell.

    Intervals adapt through the test block, each label used from the bar on at which it was known. Raises CheckError or
    IntervalError when the fold has too few rows, ForecastError when a model forecasts nonsense.
    """
    began = time.thread_time()  # of this thread: other work on the machine does not count
    fold = order.spans[cell.fold]
    numbers = order.masks.numbers(cell.pairs, cell.fold)
    span = (fold.train_start, fold.train_end)
    parts = {p: rows[p].training(cell.horizon, span, numbers) for p in cell.pairs}
    pool = tuple(cell.pairs) if order.together else ()
    models = fit_together(parts, pool, cell.horizon, order.recipe)
    tables = {}
    for pair in cell.pairs:
        mine = rows[pair]
        test = mine.testing(fold)
        if not len(test):
            raise CheckError(f"{pair} has no rows in test block {cell.fold}")
        found = {**walked(models[pair], mine, test, numbers, pool), **mine.baselines(parts[pair], cell.horizon, test)}
        tables[pair] = check_forecasts(table_of(mine, test, cell, found), horizon=cell.horizon, where=cell.name)
    trials = _trials(order, cell, len(numbers), models[cell.pairs[0]].trials)
    facts = {
        "rows": sum(len(p) for p in parts.values()),
        "columns": len(numbers),
        "test_rows": sum(t.height for t in tables.values()),
        "metrics": metrics(list(tables.values()), cell.horizon, order.settings.every),
        "trials": [t.digest for t in trials],
    }
    return Done(cell, tables, facts, trials, time.thread_time() - began)


def walked(
    model: HorizonModel, mine: PairRows, test: I8, numbers: Sequence[int], pool: tuple[str, ...]
) -> dict[str, F8]:
    """What the model says of test rows in order of time; heads that were not trained are left out."""
    labels = mine.sample.labels.take(test)
    X = mine.features(test, numbers)
    if pool:
        X = np.concatenate([X, indicators(mine.pair, pool, len(X))], axis=1)
    sigma = np.asarray(labels.values["sigma"], dtype=np.float64)
    y4 = target_pair(model.horizon)[1].value(labels)
    out = model.walk(X, labels.position, labels.minute, sigma, y4)
    found = {name: out[:, k] for k, name in enumerate(COLUMNS) if np.isfinite(out[:, k]).any()}
    if "lo90" in found:  # the two adapt by themselves; where they cross the wider promise gives way
        found["lo90"] = np.minimum(found["lo90"], found["lo80"])
        found["hi90"] = np.maximum(found["hi90"], found["hi80"])
    return found


def table_of(mine: PairRows, test: I8, cell: Cell, found: Mapping[str, F8]) -> pl.DataFrame:
    """The forecast table of some rows; forecasts that are not in `found` are null."""
    labels = mine.sample.labels.take(test)
    v = labels.values
    third, fourth = (t.value(labels) for t in target_pair(cell.horizon))
    stamps = pl.Series((labels.minute * 60_000_000).astype("datetime64[us]")).dt.replace_time_zone("UTC")
    data: dict[str, Any] = {
        "ts_utc": stamps,
        "position": labels.position,
        "fold": np.full(len(test), cell.fold, np.int16),
        "sigma": v["sigma"],
        "cost": v["cost"],
        "left": labels.left.astype(np.int32),
        "y3": _nulls(third),
        "y4": _nulls(fourth),
        "r": _nulls(v[f"r_{cell.horizon}"].astype(np.float64)),
    }
    data |= {k: pl.Series(found[k]) if k in found else pl.Series([None] * len(test)) for k in FORECASTS}
    return pl.DataFrame([pl.Series(k, data[k], strict=False).cast(kind) for k, kind in SCHEMA.items()])


def metrics(tables: Sequence[pl.DataFrame], horizon: int, every: int) -> dict[str, Any]:
    """Plain figures of y3 and y4, and what of them is too good."""
    found = {t: plain(tables, t, horizon, every) for t in TARGETS}
    return {t: None if p is None else {**p.as_dict(), "too_good": p.too_good} for t, p in found.items()}


def _trials(order: Order, cell: Cell, columns: int, tried: Sequence[Mapping[str, Any]]) -> list[Trial]:
    """A row a parameter set and target; spacing, heads and scope are choices too."""
    d, recipe = order.dataset, order.recipe
    chosen = {"spacing": order.spacing[cell.horizon], "scope": order.settings.scope, "heads": list(recipe.heads)}
    return [
        Trial(
            "forecast", recipe.estimator, {**p, **chosen}, order.masks.digest, columns, d.profile, d.hash, cell.group,
            str(cell.fold), t.name, recipe.seed,
        )
        for p in tried
        for t in target_pair(cell.horizon)
    ]  # fmt: skip


def _nulls(values: F8) -> pl.Series:
    return pl.Series(values, nan_to_null=True)
