"""XGBoost (the CPU build) behind the engine contract: one thread, histograms, trees grown by leaf, JSON files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ArtefactError, Unsupported
from bqx.research.estimators.engine import Kind, TreeOptions

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
_OBJECTIVE = {"point": "reg:squarederror", "quantile": "reg:quantileerror", "direction": "binary:logistic"}
_HESSIAN = {"point": 1.0, "quantile": 1.0, "direction": 0.25}
"""Second derivative of a row's loss, at most: least rows of a leaf are given to XGBoost as a sum of it."""


class Xgb:
    suffix = ".json"

    def bind(self, X: F4 | F8, options: TreeOptions) -> Any:
        return need_xgboost().QuantileDMatrix(X, label=np.zeros(len(X)), max_bin=63, nthread=1)

    def train(self, bound: Any, y: F8, kind: Kind, level: float, options: TreeOptions) -> Any:
        bound.set_label(y)
        words = {
            "objective": _OBJECTIVE[kind],
            "eta": options.rate,
            "tree_method": "hist",
            "grow_policy": "lossguide",
            "max_leaves": options.leaves,
            "max_depth": 0,
            "max_bin": 63,
            "min_child_weight": options.least_leaf(len(y)) * _HESSIAN[kind],
            "colsample_bytree": options.share,
            "base_score": 0.5 if kind == "direction" else 0.0,
            "nthread": 1,
            "seed": options.seed,
            "verbosity": 0,
        }
        if kind == "quantile":
            words["quantile_alpha"] = level
        return need_xgboost().train(words, bound, num_boost_round=options.rounds)

    def raw(self, model: Any, X: F4 | F8) -> F8:
        rows = np.ascontiguousarray(X, dtype=np.float32)
        found = model.inplace_predict(rows, predict_type="margin", validate_features=False)
        return np.asarray(found, dtype=np.float64).reshape(len(rows))

    def contributions(self, model: Any, X: F4 | F8) -> F8:
        rows = need_xgboost().DMatrix(np.ascontiguousarray(X, dtype=np.float32), nthread=1)
        return np.asarray(model.predict(rows, pred_contribs=True)[:, :-1], dtype=np.float64)

    def dump(self, model: Any) -> bytes:
        return bytes(model.save_raw("json"))

    def load(self, data: bytes) -> Any:
        xgboost = need_xgboost()
        try:
            return xgboost.Booster({"nthread": 1}, model_file=bytearray(data))
        except xgboost.core.XGBoostError as error:
            raise ArtefactError("not an XGBoost JSON file") from error


def need_xgboost() -> Any:
    try:
        import xgboost
    except (ModuleNotFoundError, OSError) as exc:
        raise Unsupported(
            "this forecaster needs XGBoost, which cannot be loaded", fix="pip install xgboost-cpu, or use boosting"
        ) from exc
    return xgboost
