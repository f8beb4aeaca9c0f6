"""Gradient-boosted trees (LightGBM), kept small: what there is to learn explains a percent or two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bqx.research.estimators.contract import Inputs, check_enough, check_rows
from bqx.research.estimators.engine import Engine, TreeOptions
from bqx.research.estimators.lightgbm_engine import LightGbm
from bqx.research.estimators.ridge_forecast import clipped
from bqx.research.estimators.tree_files import load_models, model_files

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class Boosting:
    """One booster a target, NULL is a value of its own. Deterministic: one thread, row-wise histograms, fixed seed."""

    name: ClassVar[str] = "boosting"
    inputs: ClassVar[Inputs] = "columns"
    engine: ClassVar[Engine] = LightGbm()

    def __init__(
        self, rounds: int = 80, leaves: int = 7, rate: float = 0.05, share: float = 0.25, seed: int = 0
    ) -> None:
        self.options = TreeOptions(rounds, leaves, rate, share, seed)

    def params(self) -> Mapping[str, Any]:
        return {k: v for k, v in asdict(self.options).items() if k != "seed"}

    @property
    def trials(self) -> list[Mapping[str, Any]]:
        return [self.params()]

    def fit(self, X: F4 | F8, Y: F8, position: I8, horizon: int, embargo: int) -> Self:
        check_rows(X, Y, position)
        check_enough(X)
        target, bound = clipped(Y), self.engine.bind(X, self.options)
        self.models = [
            self.engine.train(bound, target[:, k], "point", 0.5, self.options) for k in range(target.shape[1])
        ]
        return self

    def predict(self, X: F4 | F8) -> F8:
        return np.column_stack([self.engine.raw(m, X) for m in self.models])

    def shap(self, X: F4 | F8) -> F8:
        """Mean absolute SHAP value (exact TreeSHAP) of each column for each target. Shape (columns, targets)."""
        return np.column_stack([np.abs(self.engine.contributions(m, X)).mean(axis=0) for m in self.models])

    def files(self) -> dict[str, bytes]:
        return model_files(self.engine, self.models)

    @classmethod
    def restore(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        made = cls(**params)
        made.models = load_models(cls.engine, files)
        return made
