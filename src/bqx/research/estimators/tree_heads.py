"""Quantiles and direction by boosted trees, for any engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ArtefactError
from bqx.research.estimators.boosting import Boosting
from bqx.research.estimators.contract import check_enough, check_rows
from bqx.research.estimators.engine import Engine, TreeOptions
from bqx.research.estimators.heads import LEVELS
from bqx.research.estimators.packed import pack, unpack
from bqx.research.estimators.tree_files import load_models, model_files

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class TreeQuantiles:
    """One booster a level under the pinball loss, around the level's quantile of the training rows.

    Levels are fitted apart and may cross; sorting a row's quantiles never makes their loss larger (Chernozhukov,
    Fernandez-Val, Galichon 2010).
    """

    engine: ClassVar[Engine]

    def __init__(self, **params: Any) -> None:
        self.options = TreeOptions(**params)

    def fit(self, X: F4 | F8, y: F8, position: I8, horizon: int, embargo: int) -> Self:
        check_rows(X, y[:, None], position)
        check_enough(X)
        self.middle: F8 = np.quantile(y, LEVELS)
        bound = self.engine.bind(X, self.options)
        self.models = [
            self.engine.train(bound, y - m, "quantile", level, self.options)
            for m, level in zip(self.middle, LEVELS, strict=True)
        ]
        return self

    def predict(self, X: F4 | F8) -> F8:
        raw = np.column_stack([self.engine.raw(m, X) for m in self.models])
        return np.sort(raw + self.middle, axis=1)

    def files(self) -> dict[str, bytes]:
        return {**model_files(self.engine, self.models), "middle.npz": pack({"middle": self.middle})}

    @classmethod
    def restore(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        made = cls(**params)
        if "middle.npz" not in files:
            raise ArtefactError("middle.npz is absent")
        made.middle = unpack(files["middle.npz"], "middle.npz", "middle")["middle"]
        made.models = load_models(cls.engine, files)
        return made


class TreeDirection:
    """One booster under the log loss, beginning at even odds; a target of 0 counts as no rise."""

    engine: ClassVar[Engine]

    def __init__(self, **params: Any) -> None:
        self.options = TreeOptions(**params)

    def fit(self, X: F4 | F8, y: F8, position: I8, horizon: int, embargo: int) -> Self:
        check_rows(X, y[:, None], position)
        check_enough(X)
        bound = self.engine.bind(X, self.options)
        self.models = [self.engine.train(bound, (y > 0).astype(np.float64), "direction", 0.5, self.options)]
        return self

    def predict(self, X: F4 | F8) -> F8:
        odds = self.engine.raw(self.models[0], X)
        return np.asarray(1.0 / (1.0 + np.exp(-odds)))[:, None]

    def files(self) -> dict[str, bytes]:
        return model_files(self.engine, self.models)

    @classmethod
    def restore(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        made = cls(**params)
        made.models = load_models(cls.engine, files)
        return made


def tree_head(forecaster: type[Boosting], kind: str) -> Any:
    """The head class over a forecaster's engine."""
    base = TreeQuantiles if kind == "quantile" else TreeDirection
    return type(
        f"{forecaster.__name__}{base.__name__}", (base,), {"engine": forecaster.engine, "__doc__": base.__doc__}
    )
