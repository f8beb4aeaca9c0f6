"""Forecasters by name: those of bqx, and those of installed packages (entry point group `bqx.estimators`)."""

from __future__ import annotations

import re
from collections.abc import Set
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
    kind = estimator_class(name)
    try:
        made: Forecaster = kind(**params)
    except TypeError as error:
        raise UsageError(f"forecaster {name}: {error}", fix=f"its parameters are {dict(kind().params())}") from error
    return made


def estimator_class(name: str) -> Any:
    """The class of that name; EstimatorError when a package declares it and it cannot be used."""
    if name in (ours := _ours()):
        return ours[name]
    found, problems = _users()
    if name in problems:
        raise problems[name]
    if name not in found:
        raise UsageError(f"unknown forecaster {name!r}", fix=f"one of {', '.join((*ours, *found))}")
    return found[name]


def estimators() -> dict[str, Any]:
    """Classes by name, ours first; packages that are broken are left out, see :func:`problems`."""
    return {**_ours(), **_users()[0]}


def problems() -> tuple[EstimatorError, ...]:
    """Why estimators of packages were left out; one that is broken costs no other."""
    return tuple(_users()[1].values())


def distribution_of(name: str) -> str | None:
    """Package and version that an estimator comes from; None for ours."""
    if name in _ours():
        return None
    dist = next((p.dist for p in entry_points(group=GROUP) if p.name == name), None)
    return f"{dist.name} {dist.version}" if dist is not None else "unknown distribution"


@lru_cache(maxsize=1)
def _ours() -> dict[str, Any]:
    from bqx.research.estimators.baselines import Climatology, Persistence, RandomWalk
    from bqx.research.estimators.boosting import Boosting
    from bqx.research.estimators.ridge_forecast import RidgeForecast
    from bqx.research.estimators.xgboosting import XgBoosting

    return {c.name: c for c in (RandomWalk, Persistence, Climatology, RidgeForecast, Boosting, XgBoosting)}


def _users() -> tuple[dict[str, Any], dict[str, EstimatorError]]:
    """Classes and problems by name of entry point, in the order of name and value."""
    found: dict[str, Any] = {}
    wrong: dict[str, EstimatorError] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        try:
            found[point.name] = _admitted(point, {*_ours(), *found})
        except EstimatorError as error:
            wrong[f"{point.name} of {_origin(point)}" if point.name in (*_ours(), *found) else point.name] = error
    return found, wrong


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown distribution"


def _admitted(point: EntryPoint, taken: Set[str]) -> Any:
    where = f"entry point {point.name} = {point.value} of {_origin(point)}"
    fix = f"mend or uninstall {_origin(point)}; everything else works without it"
    if not _NAME.fullmatch(point.name) or point.name in taken:
        why = "is taken" if point.name in taken else "must be lower case letters, digits and _"
        raise EstimatorError(f"the name {point.name!r} {why}", where=where, fix=fix)
    try:
        value = point.load()
    except Exception as error:
        raise EstimatorError(
            f"estimator {point.name} cannot be loaded: {type(error).__name__}: {error}", where=where, fix=fix
        ) from error
    gone = [m for m in _MEMBERS if not hasattr(value, m)]
    if not isinstance(value, type) or gone or getattr(value, "name", None) != point.name:
        why = f"it has no {gone[0]}" if gone else f"it must be a class whose `name` is {point.name!r}"
        raise EstimatorError(f"estimator {point.name} is left out: {why}", where=where, fix="see docs/models.md")
    return value
