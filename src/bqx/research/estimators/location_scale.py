"""Quantiles and direction around any point forecast: y = f(x) + s(x) z, with z from the training rows.

Quantile curves of a location-scale model cannot cross (He 1997). The spread s is Glejser's (1969): a regression of the
absolute residuals, here by ridge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ArtefactError, CheckError
from bqx.research.estimators.heads import LEVELS
from bqx.research.estimators.packed import pack, unpack
from bqx.research.estimators.ridge_forecast import RidgeForecast

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
FLOOR = 0.25
"""Least spread, as a share of the mean absolute residual: a linear spread may not turn negative."""
KEPT = 2001


class LocationScale:
    """`location` is the forecaster's class; `spread` None keeps one spread for all rows."""

    location: ClassVar[Any]
    spread: ClassVar[type[RidgeForecast] | None]

    def __init__(self, **params: Any) -> None:
        self.given = params

    def fit(self, X: F4 | F8, y: F8, position: I8, horizon: int, embargo: int) -> Self:
        self.centre = self.location(**self.given).fit(X, y[:, None], position, horizon, embargo)
        away = y - self.centre.predict(X)[:, 0]
        self.size = float(np.abs(away).mean())
        if self.size == 0.0:
            raise CheckError("the target is forecast without any error, so it has no spread")
        if self.spread is not None:
            more = (np.abs(away) / self.size - 1.0)[:, None]
            self.wide = self.spread().fit(X, more, position, horizon, embargo)
        z = np.sort(away / self._scale(X))
        self.z: F8 = np.quantile(z, np.linspace(0.0, 1.0, KEPT)) if len(z) > KEPT else z
        return self

    def _scale(self, X: F4 | F8) -> F8:
        if self.spread is None:
            return np.full(len(X), self.size)
        return self.size * np.maximum(1.0 + self.wide.predict(X)[:, 0], FLOOR)

    def files(self) -> dict[str, bytes]:
        parts = {f"location.{name}": data for name, data in self.centre.files().items()}
        if self.spread is not None:
            parts |= {f"spread.{name}": data for name, data in self.wide.files().items()}
        return {**parts, "residuals.npz": pack({"size": np.array(self.size), "z": self.z})}

    @classmethod
    def restore(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        made = cls(**params)
        if "residuals.npz" not in files:
            raise ArtefactError("residuals.npz is absent")
        held = unpack(files["residuals.npz"], "residuals.npz", "size", "z")
        made.size, made.z = float(held["size"]), held["z"]
        made.centre = cls.location.restore(params, _of(files, "location."))
        if cls.spread is not None:
            made.wide = cls.spread.restore({}, _of(files, "spread."))
        return made


class LocationQuantiles(LocationScale):
    def predict(self, X: F4 | F8) -> F8:
        steps = np.quantile(self.z, LEVELS)
        return np.asarray(self.centre.predict(X) + self._scale(X)[:, None] * steps)


class LocationDirection(LocationScale):
    """P(y > 0) = share of residuals z above -f / s, kept off 0 and 1 by one row each."""

    def predict(self, X: F4 | F8) -> F8:
        edge = -self.centre.predict(X)[:, 0] / self._scale(X)
        above = len(self.z) - np.searchsorted(self.z, edge, side="right")
        return np.asarray((above + 1.0) / (len(self.z) + 2.0))[:, None]


def location_scale(forecaster: Any, kind: str) -> Any:
    """The head class around a forecaster; the random walk keeps one spread, it is the head that knows nothing."""
    base = LocationQuantiles if kind == "quantile" else LocationDirection
    spread = RidgeForecast if forecaster.name != "random_walk" else None
    named = {"location": forecaster, "spread": spread, "__doc__": base.__doc__}
    return type(f"{forecaster.__name__}{base.__name__}", (base,), named)


def _of(files: Mapping[str, bytes], head: str) -> dict[str, bytes]:
    return {name[len(head) :]: data for name, data in files.items() if name.startswith(head)}
