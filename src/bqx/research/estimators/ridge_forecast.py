"""Ridge of one pair: columns clipped and standardised by training rows, the penalty chosen on a purged inner part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ArtefactError
from bqx.research.estimators.contract import Inputs, check_enough, check_rows
from bqx.research.estimators.packed import pack, unpack
from bqx.research.ridge import PENALTIES, Scaler, clip_targets
from bqx.research.splits import inner_split

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
SCALER = ("low", "high", "mean", "scale")


class RidgeForecast:
    """No intercept. A NULL is the training mean. Targets are clipped at 5 robust sigmas in training, never in tests.

    penalties : tried, in multiples of the number of rows; each target takes its own best. Computes on one thread.
    """

    name: ClassVar[str] = "ridge"
    inputs: ClassVar[Inputs] = "columns"

    def __init__(self, penalties: Sequence[float] = PENALTIES, seed: int = 0) -> None:
        self.penalties, self.seed = tuple(float(p) for p in penalties), seed

    def params(self) -> Mapping[str, Any]:
        return {"penalties": list(self.penalties)}

    @property
    def trials(self) -> list[Mapping[str, Any]]:
        return [{"penalty": p} for p in self.penalties]

    def fit(self, X: F4 | F8, Y: F8, position: I8, horizon: int, embargo: int) -> Self:
        from threadpoolctl import threadpool_limits

        check_rows(X, Y, position)
        check_enough(X)
        with threadpool_limits(limits=1):
            self.chosen = self._choose(X, Y, position, horizon, embargo)
            self.scaler = fit_scaler(X)
            Z, target = standardised(self.scaler, X), clipped(Y)
            values, vectors = np.linalg.eigh(Z.T @ Z)
            shrunk = np.maximum(values, 0.0)[:, None] + self.chosen[None, :] * len(Z)
            self.coef: F8 = vectors @ ((vectors.T @ (Z.T @ target)) / shrunk)
        return self

    def _choose(self, X: F4 | F8, Y: F8, position: I8, horizon: int, embargo: int) -> F8:
        """The penalty of each target that forecasts the last quarter best."""
        early, late = inner_split(position, horizon, embargo)
        scaler = fit_scaler(X[early])
        Z = standardised(scaler, X[early])
        values, vectors = np.linalg.eigh(Z.T @ Z)
        cross = vectors.T @ (Z.T @ clipped(Y[early]))
        rows = len(Z)
        del Z
        held, truth = standardised(scaler, X[late]), clipped(Y[late])
        errors = []
        for penalty in self.penalties:
            coef = vectors @ (cross / (np.maximum(values, 0.0) + penalty * rows)[:, None])
            errors.append(((truth - held @ coef) ** 2).sum(axis=0))
        return np.asarray(np.array(self.penalties)[np.argmin(np.stack(errors), axis=0)])

    def predict(self, X: F4 | F8) -> F8:
        # a product of matrices would round a row alone otherwise than the same row among others
        Z = np.ascontiguousarray(standardised(self.scaler, X))
        return np.column_stack([(Z * self.coef[:, k]).sum(axis=1) for k in range(self.coef.shape[1])])

    def files(self) -> dict[str, bytes]:
        scaler = {name: getattr(self.scaler, name) for name in SCALER}
        return {"ridge.npz": pack({**scaler, "coef": self.coef, "chosen": self.chosen})}

    @classmethod
    def restore(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        if "ridge.npz" not in files:
            raise ArtefactError("ridge.npz is absent")
        held = unpack(files["ridge.npz"], "ridge.npz", *SCALER, "coef", "chosen")
        made = cls(**params)
        made.scaler, made.coef, made.chosen = Scaler(*(held[k] for k in SCALER)), held["coef"], held["chosen"]
        return made


def fit_scaler(X: F4 | F8, width: int = 256) -> Scaler:
    """Scaler of rows (n, columns), `width` columns at a time to spare memory."""
    parts = [
        Scaler.fit(np.asarray(X[:, k : k + width], dtype=np.float64)[:, None, :]) for k in range(0, X.shape[1], width)
    ]
    return Scaler(*(np.concatenate([getattr(p, f) for p in parts], axis=1) for f in SCALER))


def standardised(scaler: Scaler, X: F4 | F8) -> F8:
    """Scaled rows (n, columns), 0 for NULL."""
    Z = np.array(X, dtype=np.float64)
    np.clip(Z, scaler.low[0], scaler.high[0], out=Z)
    Z -= scaler.mean[0]
    Z /= scaler.scale[0]
    Z[~np.isfinite(Z)] = 0.0
    return Z


def clipped(Y: F8) -> F8:
    return np.column_stack([clip_targets(Y[:, k]) for k in range(Y.shape[1])])
