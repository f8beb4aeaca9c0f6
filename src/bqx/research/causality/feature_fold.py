"""Granger questions of features as sources: does a column tell of its own pair's next step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CausalityError
from bqx.research.causality.answer import Answer, unasked
from bqx.research.causality.clark_west import FEWEST
from bqx.research.causality.granger import granger, independent, own_order
from bqx.research.causality.granger_fold import METHOD, GrangerFold, answered, confirm
from bqx.research.causality.lagged import Lagged, runs
from bqx.research.causality.resample import bootstrap_p, counts
from bqx.research.causality.series import LEAST_SHARE, Series
from bqx.research.causality.stationarity import stationarity

F8 = NDArray[np.float64]
MAX_LAGS = 5
"""Features remember; more lags of one are other columns."""


def ask_features(fold: GrangerFold, pair: str, features: Mapping[str, F8]) -> list[Answer]:
    """One answer a feature; `features` are (n,) on the rows of `fold.series`, NaN for NULL, known when the row is.

    Each is asked on its own complete rows, given the pair's past and the factors'; a feature that may have a unit root
    gets a lag more (Toda and Yamamoto 1995).
    """
    return [_ask(fold, pair, name, values) for name, values in features.items()]


def _ask(fold: GrangerFold, pair: str, name: str, values: F8) -> Answer:
    question = (METHOD, fold.series.kind, name, pair, fold.span.number)
    train, mine = fold.train, _within(fold.series, values, fold.span.train_start, fold.span.train_end)
    known = np.isfinite(mine)
    if known.mean() < LEAST_SHARE:
        return unasked(*question, f"{100 * known.mean():.0f} % of the training rows have a value")
    mean, scale = float(mine[known].mean()), float(mine[known].std())
    try:
        certain = stationarity(mine[known]).certain
    except CausalityError:
        return unasked(*question, "does not vary")
    depth = min(fold.depth, MAX_LAGS + 1)
    data = Lagged.of(*_table(fold, train, pair, (mine - mean) / scale), depth)
    controls, source = independent(data, 0, range(1, data.width - 1)), data.width - 1
    extra = max(int(not certain), int(not fold.stationary[fold.series.names.index(pair)].certain))
    try:
        own = own_order(data, 0, controls, depth - 1, extra)
        fit = granger(data, 0, source, controls, own, depth - 1, extra)
    except (CausalityError, np.linalg.LinAlgError) as exc:
        return unasked(*question, str(exc))
    if fit is None:
        return unasked(*question, "linearly dependent on the target's past and the factors")
    later = None
    test = fold.series.rows(fold.span.start, fold.span.end)
    values_later = _within(fold.series, values, fold.span.start, fold.span.end)
    table, age = _table(fold, test, pair, (values_later - mean) / scale)
    rows = np.flatnonzero(age >= depth)
    if len(rows) >= FEWEST:
        later = confirm(Lagged(table, rows, depth, np.zeros((0, 0))), 0, fit)
    drawn = fold.drawn if len(fold.drawn[0]) == len(data.rows) else counts(len(data.rows), fold.draws, fold.seed)
    boot = float(bootstrap_p([fit.tilde * fit.null_error[:, None]], drawn)[0])
    return answered(question, fit, boot, later)


def _within(series: Series, values: F8, start: int, stop: int) -> F8:
    return values[(series.position >= start) & (series.position < stop)]


def _table(fold: GrangerFold, rows: Series, pair: str, feature: F8) -> tuple[F8, NDArray[np.int64]]:
    """The pair, the factors, its gap if it has one, the feature."""
    y = fold.factors.standard(rows.values)[:, rows.names.index(pair)]
    gap = [rows.gaps[pair]] if pair in rows.gaps else []
    table = np.column_stack([y, fold.factors.of(rows.values), *gap, feature])
    complete = np.asarray(np.isfinite(table).all(axis=1))
    return np.where(complete[:, None], table, 0.0), runs(complete, rows.segment, rows.position, rows.every)
