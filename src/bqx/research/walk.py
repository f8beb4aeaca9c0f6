"""Walk-forward evaluation of a forecaster on a sample: per fold and target losses, skill with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.research.compare_losses import diebold_mariano
from bqx.research.estimators.contract import Forecaster
from bqx.research.skill import DRAWS, NO_SKILL, TOO_GOOD_HITS, TOO_GOOD_SKILL, losses, measure, overlap

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Score:
    """Skill of one target, or of all together (`target` "pooled"), of one pair.

    low, high : 95 % interval of a stationary block bootstrap. p : one-sided Diebold-Mariano p-value that the forecast
    is no better than the random walk. block in bars.
    """

    target: str
    skill: float
    low: float
    high: float
    p: float
    hit_rate: float
    n_rows: int
    n_effective: float
    block: float

    @property
    def quarantined(self) -> bool:
        """L14: too good for intraday currencies."""
        return self.skill > TOO_GOOD_SKILL or self.hit_rate > TOO_GOOD_HITS

    @property
    def verdict(self) -> str:
        if self.quarantined:
            return "quarantined: too good to be true, look for a leak"
        return "skill against the random walk" if self.low > 0.0 else NO_SKILL

    def as_dict(self) -> dict[str, Any]:
        hit = None if math.isnan(self.hit_rate) else self.hit_rate
        return {**asdict(self), "hit_rate": hit, "quarantined": self.quarantined, "verdict": self.verdict}


def rows_with_labels(Y: F8) -> NDArray[np.bool_]:
    """Rows where every target exists."""
    return np.asarray(np.isfinite(Y).all(axis=1))


def fold_losses(
    make: Callable[[], Forecaster], X: F4 | F8, Y: F8, position: I8, train: I8, test: I8, horizon: int, embargo: int
) -> F8:
    """Fit on `train`, forecast `test` (row numbers). Losses (test rows, targets, 5) as `skill.losses` gives them."""
    ok = rows_with_labels(Y)
    rows = train[ok[train]]
    model = make().fit(X[rows], Y[rows], position[rows], horizon, embargo)
    forecast = model.predict(X[test])
    return np.stack([losses(Y[test, k][:, None], forecast[:, k][:, None]) for k in range(Y.shape[1])], axis=1)


def score(
    table: F8, target: str, *, horizon: int, every: int, seed: int = 0, draws: int = DRAWS, layers: int = 1
) -> Score:
    """Score of losses (rows in order, `every` bars apart, 5); CheckError for fewer than 500 rows."""
    found = measure(table, longest=horizon, every=every, draws=draws, seed=seed)
    return Score(
        target=target,
        skill=found.skill,
        low=found.low,
        high=found.high,
        p=diebold_mariano(found.table[:, 0], found.table[:, 1], math.ceil(horizon / every)).better,
        hit_rate=found.hit_rate,
        n_rows=int(found.rows),
        n_effective=float(found.rows / layers * every / max(overlap(horizon), every)),
        block=found.block * every,
    )


def scores(table: F8, names: Sequence[str], horizons: Sequence[int], *, every: int, seed: int = 0) -> list[Score]:
    """One a target of losses (rows, targets, 5), then all together with equal weight in units of its random walk."""
    out = [
        score(np.ascontiguousarray(table[:, k]), name, horizon=horizons[k], every=every, seed=seed)
        for k, name in enumerate(names)
    ]
    worth = table[:, :, 1].sum(axis=0) / table[:, :, 4].sum(axis=0)
    pooled = table / np.where(np.arange(5) < 2, worth[:, None], 1.0)[None]
    whole = pooled.sum(axis=1)
    out.append(score(whole, "pooled", horizon=max(horizons), every=every, seed=seed, layers=len(names)))
    return out
