"""The model of one pair and horizon: point forecasts, quantiles with intervals, probability of a rise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.research.artefact.pool import with_indicators
from bqx.research.artefact.recipe import Recipe
from bqx.research.artefact.rows import TrainingRows
from bqx.research.conformal import Cells, Conformal, Walker
from bqx.research.estimators import Forecaster, estimator_class, forecaster
from bqx.research.estimators.heads import LEVELS, Head, head_class
from bqx.research.splits import inner_split

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
COLUMNS = ("f3", "f4", "p_up", *(f"q{round(100 * q):02}" for q in LEVELS), "lo80", "hi80", "lo90", "hi90")
"""What :meth:`HorizonModel.predict` gives, in order."""


@dataclass(frozen=True)
class HorizonModel:
    """Heads that were not asked for are None. rows : training rows with labels; fitted_on, calibrated_on : of them,
    what the quantile head and its intervals saw."""

    horizon: int
    rows: int
    fitted_on: int
    calibrated_on: int
    point: Forecaster | None
    quantile: Head | None
    direction: Head | None
    intervals: Conformal | None

    def predict(self, X: F4, cell: I8 | None = None) -> F8:
        """Values (n, COLUMNS), NaN for heads that are None; intervals as they stood when training ended."""
        out = self._heads(X)
        if self.intervals is not None:
            out[:, 8:] = self.intervals.intervals(out[:, 3:8], cell)
        return out

    def walk(self, X: F4, position: I8, minute: I8, sigma: F8, y4: F8) -> F8:
        """As :meth:`predict` for rows in order of time, intervals adapted to what was known at each bar."""
        out = self._heads(X)
        if self.intervals is not None:
            cell = self.intervals.cells.of(minute, sigma)
            out[:, 8:] = Walker(self.intervals).run(position, cell, out[:, 3:8], y4)
        return out

    def _heads(self, X: F4) -> F8:
        out = np.full((len(X), len(COLUMNS)), np.nan)
        if self.point is not None:
            out[:, :2] = self.point.predict(X)
        if self.direction is not None:
            out[:, 2:3] = self.direction.predict(X)
        if self.quantile is not None:
            out[:, 3:8] = self.quantile.predict(X)
        return out

    @property
    def trials(self) -> list[Mapping[str, Any]]:
        """Parameter sets the point forecaster compared, for the ledger."""
        return [] if self.point is None else self.point.trials

    def files(self) -> dict[str, bytes]:
        parts = {"point": self.point, "quantile": self.quantile, "direction": self.direction}
        out = {
            f"h{self.horizon}/{part}/{name}": data
            for part, held in parts.items()
            if held is not None
            for name, data in held.files().items()
        }
        if self.intervals is not None:
            out |= {f"h{self.horizon}/{name}": data for name, data in self.intervals.files().items()}
        return out

    def facts(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "fitted_on": self.fitted_on,
            "calibrated_on": self.calibrated_on,
            "intervals": None if self.intervals is None else self.intervals.summary(),
        }

    @classmethod
    def restore(
        cls, horizon: int, recipe: Recipe, facts: Mapping[str, Any], files: Mapping[str, bytes]
    ) -> HorizonModel:
        """From `files` of an artefact, all horizons', and this horizon's part of its manifest."""

        def part(name: str) -> dict[str, bytes]:
            head = f"h{horizon}/{name}/"
            return {k[len(head) :]: v for k, v in files.items() if k.startswith(head)}

        def head(kind: str) -> Head | None:
            made: Head | None = None
            if kind in recipe.heads:
                made = head_class(recipe.estimator, kind).restore(recipe.params, part(kind))
            return made

        point = None
        if "point" in recipe.heads:
            point = estimator_class(recipe.estimator).restore(recipe.params, part("point"))
        intervals = Conformal.restore(files, f"h{horizon}/") if "quantile" in recipe.heads else None
        rows, fitted, held = (int(facts[k]) for k in ("rows", "fitted_on", "calibrated_on"))
        return cls(horizon, rows, fitted, held, point, head("quantile"), head("direction"), intervals)


def fit_horizon(rows: TrainingRows, horizon: int, recipe: Recipe) -> HorizonModel:
    """Fit the heads of one horizon; no other horizon of `rows` can move a bit of it. See :func:`fit_together`."""
    return fit_together({rows.pair: rows}, (), horizon, recipe)[rows.pair]


def fit_together(
    parts: Mapping[str, TrainingRows], pool: tuple[str, ...], horizon: int, recipe: Recipe
) -> dict[str, HorizonModel]:
    """One fit for all pairs of `parts`, intervals for each; `pool` names the indicator columns, () adds none.

    Point and direction heads see all rows with labels. The quantile head sees the first three quarters of their time,
    purged, and its intervals are calibrated on the last quarter: split conformal prediction needs rows the head did not
    see. CheckError or IntervalError when a part has too few rows.
    """
    from threadpoolctl import threadpool_limits

    mine = {p: with_labels(rows, horizon) for p, rows in parts.items()}
    X, Y, at, owner = _stacked(mine, pool, horizon)
    words = {**recipe.params, "seed": recipe.seed}
    span = (horizon, recipe.embargo)
    point = quantile = direction = None
    early, late = np.arange(0), np.arange(0)
    with threadpool_limits(limits=1):
        if "point" in recipe.heads:
            point = forecaster(recipe.estimator, **words).fit(X, Y, at, *span)
        if "direction" in recipe.heads:
            direction = head_class(recipe.estimator, "direction")(**words).fit(X, Y[:, 1], at, *span)
        if "quantile" in recipe.heads:
            early, late = inner_split(at, *span)
            quantile = head_class(recipe.estimator, "quantile")(**words).fit(X[early], Y[early, 1], at[early], *span)
    out = {}
    for number, (pair, rows) in enumerate(mine.items()):
        fitted, held = early[owner[early] == number], late[owner[late] == number]
        intervals = None
        if quantile is not None:
            last = rows.take(np.isin(rows.position, at[held]))
            cells = Cells.fit(rows.sigma[np.isin(rows.position, at[fitted])])
            intervals = Conformal.fit(
                quantile.predict(X[held]), last.y4[horizon], last.minute, last.sigma,
                cells=cells, horizon=horizon, gamma=recipe.gamma,
            )  # fmt: skip
        out[pair] = HorizonModel(horizon, len(rows), len(fitted), len(held), point, quantile, direction, intervals)
    return out


def with_labels(rows: TrainingRows, horizon: int) -> TrainingRows:
    """Rows where both targets of the horizon exist."""
    return rows.take(np.isfinite(rows.y3[horizon]) & np.isfinite(rows.y4[horizon]))


def _stacked(mine: Mapping[str, TrainingRows], pool: tuple[str, ...], horizon: int) -> tuple[F4, F8, I8, I8]:
    """X, Y, position of all pairs in order of time, and whose row each is."""
    X = np.concatenate([with_indicators(r, pool) if pool else r.X for r in mine.values()])
    Y = np.concatenate([np.column_stack([r.y3[horizon], r.y4[horizon]]) for r in mine.values()])
    at = np.concatenate([r.position for r in mine.values()])
    owner = np.repeat(np.arange(len(mine)), [len(r) for r in mine.values()])
    order = np.argsort(at, kind="stable")
    return X[order], Y[order], at[order], owner[order]
