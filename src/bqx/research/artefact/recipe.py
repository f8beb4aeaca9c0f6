"""What a model is to be: estimator, parameters, heads, seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bqx.base.errors import UsageError
from bqx.research.estimators import estimator_class, estimators

HEADS = ("point", "quantile", "direction")


@dataclass(frozen=True)
class Recipe:
    """params : of the estimator's constructor, but for the seed; every head takes them. heads : of HEADS; the quantile
    head brings the intervals. embargo : bars beside the purge of inner parts. gamma : step of adaptive intervals.
    """

    estimator: str = "boosting"
    params: Mapping[str, Any] = field(default_factory=dict)
    heads: tuple[str, ...] = HEADS
    seed: int = 0
    embargo: int = 1440
    gamma: float = 0.01

    def __post_init__(self) -> None:
        if estimator_class(self.estimator).inputs != "columns":
            fit = [n for n, c in estimators().items() if c.inputs == "columns"]
            raise UsageError(f"{self.estimator} does not learn from columns", fix=f"one of {', '.join(fit)}")
        if not self.heads or set(self.heads) - set(HEADS):
            raise UsageError(f"heads {self.heads}", fix=f"one or more of {', '.join(HEADS)}")
        if "seed" in self.params:
            raise UsageError("the seed is given beside the parameters, not among them")

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "params": dict(self.params), "heads": list(self.heads)}
