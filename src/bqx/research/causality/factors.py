"""What drives all pairs at once: the dollar factor and the first principal component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
FEWEST_DOLLARS, FEWEST_PAIRS = 3, 4


@dataclass(frozen=True)
class Factors:
    """Weights (series, factors) on values that were given mean 0 and variance 1 by the training rows.

    names : `usd` when three or more dollar pairs are there, `pc1` when four or more pairs are.
    """

    names: tuple[str, ...]
    mean: F8
    scale: F8
    weights: F8

    @classmethod
    def fit(cls, values: F8, names: tuple[str, ...]) -> Factors:
        """From complete training rows (n, series)."""
        mean, scale = values.mean(axis=0), values.std(axis=0)
        scale = np.where(scale > 0, scale, np.inf)
        kept: list[str] = []
        columns: list[F8] = []
        side = np.array([(n[:3] == "usd") * 1.0 - (n[3:6] == "usd") * 1.0 for n in names])
        if np.abs(side).sum() >= FEWEST_DOLLARS:
            kept.append("usd")
            columns.append(side / np.abs(side).sum())
        if len(names) >= FEWEST_PAIRS:
            z = (values - mean) / scale
            first = np.linalg.eigh(z.T @ z / len(z))[1][:, -1]
            kept.append("pc1")
            columns.append(first * np.sign(first[np.argmax(np.abs(first))]))
        weights = np.column_stack(columns) if columns else np.zeros((len(names), 0))
        return cls(tuple(kept), mean, scale, weights)

    def standard(self, values: F8) -> F8:
        return np.asarray((values - self.mean) / self.scale)

    def of(self, values: F8) -> F8:
        """Factors (n, factors) of values (n, series), each a sum known when its row is."""
        return np.asarray(self.standard(values) @ self.weights)
