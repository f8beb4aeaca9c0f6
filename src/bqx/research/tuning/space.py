"""Which parameters of an estimator are searched, and between which ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bqx.base.errors import TuningError
from bqx.research.estimators import estimator_class, forecaster


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`; `whole` numbers, `log` scale, `listed`: the parameter takes a list of one value."""

    low: float
    high: float
    whole: bool = False
    log: bool = False
    listed: bool = False

    def value(self, found: float) -> Any:
        """As the constructor takes it."""
        one = int(found) if self.whole else float(found)
        return [one] if self.listed else one


_TREES = {
    "rounds": Axis(20, 300, whole=True, log=True),
    "leaves": Axis(3, 31, whole=True, log=True),
    "rate": Axis(0.01, 0.2, log=True),
    "share": Axis(0.1, 1.0),
}
SPACES: Mapping[str, Mapping[str, Axis]] = {
    "ridge": {"penalties": Axis(0.01, 1000.0, log=True, listed=True)},
    "boosting": _TREES,
    "xgboost": _TREES,
}


def space_of(estimator: str) -> dict[str, Axis]:
    """Axes by parameter. A plug-in declares its own as a class attribute `space` of :class:`Axis`.

    TuningError when it has none, or one that is no parameter of it.
    """
    kind = estimator_class(estimator)
    space = dict(SPACES.get(estimator) or getattr(kind, "space", {}))
    if not space:
        raise TuningError(f"{estimator} has nothing to tune", fix="a plug-in declares `space`, see docs/models.md")
    if unknown := set(space) - set(forecaster(estimator).params()):
        raise TuningError(f"{sorted(unknown)[0]!r} in the space of {estimator} is no parameter of it")
    return space


def as_dict(space: Mapping[str, Axis]) -> dict[str, Any]:
    return {name: asdict(axis) for name, axis in space.items()}
