"""Forecasters by name: those of bqx, and those of installed packages (entry point group `bqx.estimators`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from bqx.base.errors import EstimatorError, UsageError
from bqx.research.estimators.contract import Forecaster

GROUP = "bqx.estimators"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_MEMBERS = ("inputs", "params", "fit", "predict", "trials", "files", "restore")


def forecaster(name: str, **params: Any) -> Forecaster:
    """A forecaster by name with parameters of its constructor; UsageError lists the names or says what is wrong."""
    known = estimators()
    if name not in known:
        raise UsageError(f"unknown forecaster {name!r}", fix=f"one of {', '.join(known)}")
    try:
        made: Forecaster = known[name](**params)
    except TypeError as error:
        raise UsageError(f"forecaster {name}: {error}", fix=f"its parameters are {known[name]().params()}") from error
    return made


def estimators() -> dict[str, Any]:
    """Classes by name, ours first; EstimatorError when a package's cannot be used."""
    return {**_ours(), **{name: _admitted(point) for name, point in _points().items()}}


@lru_cache(maxsize=1)
def _ours() -> dict[str, Any]:
    from bqx.research.estimators.baselines import Climatology, Persistence, RandomWalk
    from bqx.research.estimators.boosting import Boosting
    from bqx.research.estimators.ridge_forecast import RidgeForecast
    from bqx.research.estimators.xgboosting import XgBoosting

    return {c.name: c for c in (RandomWalk, Persistence, Climatology, RidgeForecast, Boosting, XgBoosting)}


def _points() -> dict[str, EntryPoint]:
    """Entry points by name; of two with one name neither is taken silently."""
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        if not _NAME.fullmatch(point.name) or point.name in found or point.name in _ours():
            raise EstimatorError(
                f"the name {point.name!r} is taken or is none: lower case letters, digits and _",
                where=f"entry point {point.name} = {point.value} of {_origin(point)}",
                fix=f"rename it or uninstall {_origin(point)}",
            )
        found[point.name] = point
    return found


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown distribution"


def _admitted(point: EntryPoint) -> Any:
    where = f"entry point {point.name} = {point.value} of {_origin(point)}"
    try:
        value = point.load()
    except Exception as error:
        raise EstimatorError(
            f"estimator {point.name} cannot be loaded: {type(error).__name__}: {error}",
            where=where,
            fix=f"mend or uninstall {_origin(point)}",
        ) from error
    gone = [m for m in _MEMBERS if not hasattr(value, m)]
    if not isinstance(value, type) or gone or getattr(value, "name", None) != point.name:
        why = f"it has no {gone[0]}" if gone else f"it must be a class whose `name` is {point.name!r}"
        raise EstimatorError(f"estimator {point.name} is left out: {why}", where=where, fix="see docs/models.md")
    return value


def describe(model: Forecaster) -> Mapping[str, Any]:
    """Name and parameters, for heads of runs and manifests."""
    return {"estimator": model.name, "params": dict(model.params())}
