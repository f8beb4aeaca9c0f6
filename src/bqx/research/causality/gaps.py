"""A pair's price against what the other pairs' prices imply: rounding and stale quotes, which correct themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class Gaps:
    """For pairs whose two currencies the others connect: weights (series, names) on log prices.

    A triangle's prices agree but for rounding, so the gap a pair has at t closes in its next step, and every pair that
    tells the true price would look like a leader of it. Given the gap, it does not.
    """

    names: tuple[str, ...]
    weights: F8

    @classmethod
    def of(cls, series: Sequence[str]) -> Gaps:
        """Own log price less the least-squares one of currency values from all other pairs.

        >>> Gaps.of(["eurjpy", "eurusd", "usdjpy"]).weights[:, 0].round(6).tolist()
        [1.0, -1.0, -1.0]
        """
        pairs = [k for k, name in enumerate(series) if "." not in name]
        currencies = sorted({c for k in pairs for c in (series[k][:3], series[k][3:])})
        sides = np.zeros((len(series), len(currencies)))
        for k in pairs:
            sides[k, currencies.index(series[k][:3])] = 1.0
            sides[k, currencies.index(series[k][3:])] = -1.0
        names, columns = [], []
        for k in pairs:
            others = np.array([j for j in pairs if j != k])
            if not len(others):
                continue
            column = np.zeros(len(series))
            column[others] = -sides[k] @ np.linalg.pinv(sides[others])
            if np.allclose(sides[k] + column @ sides, 0.0, atol=1e-9):
                column[k] = 1.0
                names.append(series[k])
                columns.append(column)
        return cls(tuple(names), np.column_stack(columns) if columns else np.zeros((len(series), 0)))

    def value(self, levels: F8, scale: F8, at: Sequence[int]) -> F8:
        """Gaps (n, names) in units of each pair's scale; `at` are the columns of those pairs."""
        return np.asarray((levels @ self.weights) / scale[:, list(at)])
