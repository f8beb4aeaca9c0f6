"""Who may join: an advanced estimator must beat both the linear and the boosting baseline on the same folds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EstimatorError, UsageError
from bqx.research.compare_losses import Compared, diebold_mariano
from bqx.research.estimators.contract import Forecaster
from bqx.research.estimators.registry import forecaster
from bqx.research.walk import fold_losses

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
BASELINES = ("ridge", "boosting")
LEVEL = 0.05


@dataclass(frozen=True)
class Admission:
    """`against` baseline -> Diebold-Mariano comparison of the candidate's losses with the baseline's, all folds.

    Both must be beaten at LEVEL. That is an intersection-union test, so its size is LEVEL at most, without correction.
    """

    candidate: str
    against: Mapping[str, Compared]
    rows: int
    folds: int

    @property
    def admitted(self) -> bool:
        return all(found.better < LEVEL for found in self.against.values())

    @property
    def verdict(self) -> str:
        if self.admitted:
            return f"{self.candidate} is admitted: it forecasts better than {' and '.join(self.against)}"
        short = [f"{name} (p {found.better:.3f})" for name, found in self.against.items() if found.better >= LEVEL]
        return f"{self.candidate} is not admitted: not shown to be better than {' and '.join(short)}"

    def require(self) -> None:
        """EstimatorError unless it is admitted."""
        if not self.admitted:
            raise EstimatorError(self.verdict, fix="keep it for research; use ridge or boosting")

    def as_dict(self) -> dict[str, Any]:
        against = {name: asdict(found) for name, found in self.against.items()}
        return {**asdict(self), "against": against, "admitted": self.admitted, "verdict": self.verdict}


def compare(candidate: str, losses: Mapping[str, F8], lag: int, *, rows: int, folds: int) -> Admission:
    """From losses (n,) in order of time, of the candidate under its name and of both BASELINES under theirs."""
    against = {name: diebold_mariano(losses[candidate], losses[name], lag) for name in BASELINES}
    return Admission(candidate, against, rows, folds)


def admit(
    make: Callable[[], Forecaster],
    X: F4,
    Y: F8,
    position: I8,
    folds: Sequence[tuple[I8, I8]],
    *,
    horizon: int,
    embargo: int,
    seed: int = 0,
) -> Admission:
    """Fit the candidate and the baselines on the training rows of each fold, compare squared errors on its test rows.

    folds : training and test row numbers, in order of time. Targets weigh equally, in units of the random walk's error.
    A test row without all labels is left out. UsageError when there is no fold.
    """
    if not folds:
        raise UsageError("there is no fold to compare on")
    if (candidate := make().name) in BASELINES:
        raise UsageError(f"{candidate} is a baseline itself")
    makers: dict[str, Callable[[], Forecaster]] = {candidate: make}
    makers |= {name: (lambda n=name: forecaster(n, seed=seed)) for name in BASELINES}  # type: ignore[misc]
    tables = {
        name: np.concatenate([fold_losses(one, X, Y, position, tr, te, horizon, embargo) for tr, te in folds])
        for name, one in makers.items()
    }
    whole = tables[candidate][:, :, 4].all(axis=1)
    worth = tables[candidate][whole][:, :, 1].mean(axis=0)
    losses = {name: (t[whole][:, :, 0] / worth).sum(axis=1) for name, t in tables.items()}
    every = int(np.median(np.diff(position)))
    lag = math.ceil(horizon / max(every, 1))
    return compare(candidate, losses, lag, rows=int(whole.sum()), folds=len(folds))
