"""What heads of boosted trees need of a tree library: bin rows once, train on a target, sum leaves, write and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Kind = Literal["point", "quantile", "direction"]


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """rounds : trees. leaves : of a tree, at most. rate : shrinkage of a tree. share : of columns a tree may use."""

    rounds: int = 80
    leaves: int = 7
    rate: float = 0.05
    share: float = 0.25
    seed: int = 0

    def least_leaf(self, rows: int) -> int:
        """Rows a leaf must have."""
        return max(20, rows // 50)


class Engine(Protocol):
    """One thread, fixed seed; equal inputs give equal bits. Every sum begins at 0, no average is taken in silently."""

    suffix: str

    def bind(self, X: F4 | F8, options: TreeOptions) -> Any:
        """Binned rows, to be shared by all targets of these rows."""

    def train(self, bound: Any, y: F8, kind: Kind, level: float, options: TreeOptions) -> Any:
        """Least squares for `point`, pinball loss of `level` for `quantile`, log loss of 0 and 1 for `direction`."""

    def raw(self, model: Any, X: F4 | F8) -> F8:
        """Sum of leaves (n,); for `direction` the log odds."""

    def contributions(self, model: Any, X: F4 | F8) -> F8:
        """SHAP values (n, columns), exact TreeSHAP."""

    def dump(self, model: Any) -> bytes: ...

    def load(self, data: bytes) -> Any:
        """From :meth:`dump`; ArtefactError when it is not such a file."""
