"""Gradient-boosted trees (LightGBM), kept small: what there is to learn explains a percent or two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError, Unsupported
from bqx.research.estimators.contract import check_rows
from bqx.research.estimators.ridge_forecast import LEAST_ROWS, clipped

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class Boosting:
    """One booster a target, NULL is a value of its own. Deterministic: one thread, row-wise histograms, fixed seed."""

    name = "boosting"

    def __init__(
        self, rounds: int = 80, leaves: int = 7, rate: float = 0.05, share: float = 0.25, seed: int = 0
    ) -> None:
        self.rounds, self.leaves, self.rate, self.share, self.seed = rounds, leaves, rate, share, seed

    def params(self) -> Mapping[str, Any]:
        return {"rounds": self.rounds, "leaves": self.leaves, "rate": self.rate, "share": self.share}

    @property
    def trials(self) -> list[Mapping[str, Any]]:
        return [self.params()]

    def fit(self, X: F4 | F8, Y: F8, position: I8, horizon: int, embargo: int) -> Self:
        lightgbm = need_lightgbm()
        check_rows(X, Y, position)
        if len(X) < LEAST_ROWS:
            raise CheckError(f"{len(X)} training rows, {LEAST_ROWS} are the least", fix="give a longer history")
        options = {
            "objective": "regression",
            "learning_rate": self.rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": max(20, len(X) // 50),
            "feature_fraction": self.share,
            "max_bin": 63,
            "boost_from_average": False,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "verbose": -1,
        }
        self.models = []
        target, binned = clipped(Y), None
        for k in range(Y.shape[1]):
            if binned is None:
                binned = lightgbm.Dataset(X, label=target[:, k], params=options, free_raw_data=False).construct()
            else:
                binned.set_label(target[:, k])
            self.models.append(lightgbm.train(options, binned, num_boost_round=self.rounds))
        return self

    def predict(self, X: F4 | F8) -> F8:
        return np.column_stack([m.predict(X, num_threads=1) for m in self.models])

    def shap(self, X: F4 | F8) -> F8:
        """Mean absolute SHAP value (exact TreeSHAP) of each column for each target. Shape (columns, targets)."""
        out = np.empty((X.shape[1], len(self.models)))
        for k, model in enumerate(self.models):
            out[:, k] = np.abs(model.predict(X, pred_contrib=True, num_threads=1)[:, :-1]).mean(axis=0)
        return out


def need_lightgbm() -> Any:
    try:
        import lightgbm
    except (ModuleNotFoundError, OSError) as exc:
        raise Unsupported(
            "boosted trees need LightGBM, which cannot be loaded", fix="pip install 'bqx[research]', or use ridge alone"
        ) from exc
    return lightgbm
