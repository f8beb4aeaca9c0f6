"""LightGBM behind the engine contract: one thread, row-wise histograms, text files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ArtefactError, Unsupported
from bqx.research.estimators.engine import Kind, TreeOptions

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
_OBJECTIVE = {"point": "regression", "quantile": "quantile", "direction": "binary"}


class LightGbm:
    suffix = ".txt"

    def bind(self, X: F4 | F8, options: TreeOptions) -> Any:
        lightgbm, labels = need_lightgbm(), np.zeros(len(X))
        return lightgbm.Dataset(X, label=labels, params=_words(len(X), options), free_raw_data=False).construct()

    def train(self, bound: Any, y: F8, kind: Kind, level: float, options: TreeOptions) -> Any:
        bound.set_label(y)
        words = {**_words(len(y), options), "objective": _OBJECTIVE[kind]}
        if kind == "quantile":
            words["alpha"] = level
        return need_lightgbm().train(words, bound, num_boost_round=options.rounds)

    def raw(self, model: Any, X: F4 | F8) -> F8:
        return np.asarray(model.predict(X, raw_score=True, num_threads=1), dtype=np.float64)

    def contributions(self, model: Any, X: F4 | F8) -> F8:
        return np.asarray(model.predict(X, pred_contrib=True, num_threads=1)[:, :-1], dtype=np.float64)

    def dump(self, model: Any) -> bytes:
        return str(model.model_to_string()).encode()

    def load(self, data: bytes) -> Any:
        lightgbm = need_lightgbm()
        try:
            return lightgbm.Booster(model_str=data.decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
            raise ArtefactError(f"not a LightGBM text file: {error}") from error


def _words(rows: int, options: TreeOptions) -> dict[str, Any]:
    return {
        "objective": "regression",
        "learning_rate": options.rate,
        "num_leaves": options.leaves,
        "min_data_in_leaf": options.least_leaf(rows),
        "feature_fraction": options.share,
        "max_bin": 63,
        "boost_from_average": False,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": options.seed,
        "verbose": -1,
    }


def need_lightgbm() -> Any:
    try:
        import lightgbm
    except (ModuleNotFoundError, OSError) as exc:
        raise Unsupported(
            "boosted trees need LightGBM, which cannot be loaded", fix="pip install 'bqx[research]', or use ridge alone"
        ) from exc
    return lightgbm
