"""Heads of one target that say more than a mean: quantiles, and the probability of a rise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from bqx.research.estimators.registry import estimator_class

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
LEVELS = (0.05, 0.10, 0.50, 0.90, 0.95)


class Head(Protocol):
    """Learns y (n,), never NULL, from X (n, columns), NaN for NULL; written and read as forecasters are."""

    def fit(self, X: F4 | F8, y: F8, position: I8, horizon: int, embargo: int) -> Self: ...

    def predict(self, X: F4 | F8) -> F8:
        """Quantiles (n, levels), rising along a row; or the probability that y > 0, (n, 1)."""

    def files(self) -> dict[str, bytes]: ...

    @classmethod
    def restore(cls, params: Mapping[str, Any], files: Mapping[str, bytes]) -> Self: ...


def head_class(estimator: str, kind: str) -> Any:
    """The class of the `quantile` or `direction` head of an estimator.

    Trees learn the pinball and the log loss themselves. All others take a location-scale head around their point
    forecast, so that a plug-in needs none of its own.
    """
    from bqx.research.estimators.boosting import Boosting
    from bqx.research.estimators.location_scale import location_scale
    from bqx.research.estimators.tree_heads import tree_head

    known = estimator_class(estimator)
    return tree_head(known, kind) if issubclass(known, Boosting) else location_scale(known, kind)
