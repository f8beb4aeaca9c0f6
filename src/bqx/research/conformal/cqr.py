"""Conformalised quantile regression (Romano, Patterson, Candes 2019) within Mondrian cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ArtefactError, IntervalError
from bqx.research.conformal.cells import Cells
from bqx.research.estimators.heads import LEVELS
from bqx.research.estimators.packed import pack, unpack

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
NOMINAL = (0.80, 0.90)
"""Coverage of the two intervals; each rests on the quantiles (1 - c) / 2 and (1 + c) / 2."""
ENDS = tuple((LEVELS.index(round((1 - c) / 2, 2)), LEVELS.index(round((1 + c) / 2, 2))) for c in NOMINAL)
LEAST_ROWS = 100
LEAST_CELL = 50
"""Rows that a cell needs to be calibrated by itself; a smaller one takes the correction of all rows."""


@dataclass(frozen=True)
class Conformal:
    """Scores (rows, 2) of calibration rows in order of time, E = max(q_lo - y, y - q_hi) for each nominal coverage.

    cell (rows,) is the Mondrian cell of each, -1 unknown. alpha (2, cells + 1) is the miss rate now aimed at in each
    cell, all rows last; it starts at 1 - nominal. gamma : step of its updates. horizon : bars until a label is known.
    """

    cells: Cells
    horizon: int
    gamma: float
    score: F8
    cell: I8
    alpha: F8

    @classmethod
    def fit(
        cls, quantiles: F8, y: F8, minute: I8, sigma: F8, *, cells: Cells, horizon: int, gamma: float = 0.01
    ) -> Conformal:
        """From rows that the quantile head was not fitted on: quantiles (n, 5) and the truth y (n,), NULL allowed."""
        known = np.isfinite(y) & np.isfinite(quantiles).all(axis=1)
        if known.sum() < LEAST_ROWS:
            raise IntervalError(f"{int(known.sum())} rows to calibrate on, {LEAST_ROWS} are the least")
        q, truth = quantiles[known], y[known]
        alpha = np.repeat(1.0 - np.array(NOMINAL)[:, None], cells.count + 1, axis=1)
        return cls(cells, horizon, gamma, scores(q, truth), cells.of(minute, sigma)[known], alpha)

    def correction(self, cell: int) -> F8:
        """Added to both ends of the 80 % and the 90 % interval in that cell, (2,); may be negative."""
        own = self.score[self.cell == cell]
        few = cell < 0 or len(own) < LEAST_CELL
        ordered = np.sort(self.score if few else own, axis=0)
        at = -1 if few else cell
        return np.array([ordered[rank(len(ordered), self.alpha[k, at]), k] for k in range(len(NOMINAL))])

    def intervals(self, quantiles: F8, cell: I8 | None = None) -> F8:
        """Columns lo80, hi80, lo90, hi90 for quantiles (n, 5); without cells all rows take the common correction."""
        where = np.full(len(quantiles), -1, np.int64) if cell is None else cell
        kinds, row = np.unique(where, return_inverse=True)
        added = np.array([self.correction(int(c)) for c in kinds]).reshape(-1, len(NOMINAL))[row]
        return ends(quantiles, added)

    def files(self) -> dict[str, bytes]:
        facts = np.array([self.cells.low, self.cells.high, float(self.horizon), self.gamma])
        held = {"score": self.score, "cell": self.cell, "alpha": self.alpha, "facts": facts}
        return {"conformal.npz": pack(held)}

    @classmethod
    def restore(cls, files: Mapping[str, bytes], folder: str = "") -> Conformal:
        name = f"{folder}conformal.npz"
        if name not in files:
            raise ArtefactError(f"{name} is absent")
        held = unpack(files[name], name, "score", "cell", "alpha", "facts")
        low, high, horizon, gamma = (float(v) for v in held["facts"])
        return cls(Cells(low, high), int(horizon), gamma, held["score"], held["cell"], held["alpha"])

    def summary(self) -> Mapping[str, Any]:
        """For the manifest: rows, rows a cell, thresholds, step."""
        sizes = {
            self.cells.name(int(c)): int(n) for c, n in zip(*np.unique(self.cell, return_counts=True), strict=True)
        }
        return {
            "method": "CQR, Mondrian by session x volatility tercile",
            "nominal": list(NOMINAL),
            "rows": len(self.score),
            "cells": sizes,
            "least_rows_of_a_cell": LEAST_CELL,
            "sigma_terciles": [self.cells.low, self.cells.high],
            "gamma": self.gamma,
        }


def scores(quantiles: F8, y: F8) -> F8:
    """How far the truth lies outside each interval (negative: inside), (n, 2)."""
    return np.column_stack([np.maximum(quantiles[:, lo] - y, y - quantiles[:, hi]) for lo, hi in ENDS])


def rank(n: int, alpha: float) -> int:
    """Which of n scores in rising order, from 0: the ceil((n + 1)(1 - alpha))-th, kept among those there are."""
    return min(max(math.ceil((n + 1) * (1.0 - alpha) - 1e-9), 1), n) - 1


def ends(quantiles: F8, added: F8) -> F8:
    """lo80, hi80, lo90, hi90 (n, 4); ends that cross after a negative correction meet in their middle, and the 90 %
    interval is never inside the 80 % one, though each is corrected by itself."""
    out = np.empty((len(quantiles), 2 * len(NOMINAL)))
    for k, (lo, hi) in enumerate(ENDS):
        low, high = quantiles[:, lo] - added[:, k], quantiles[:, hi] + added[:, k]
        middle, crossed = (low + high) / 2, low > high
        out[:, 2 * k] = np.where(crossed, middle, low)
        out[:, 2 * k + 1] = np.where(crossed, middle, high)
    out[:, 2] = np.minimum(out[:, 0], out[:, 2])
    out[:, 3] = np.maximum(out[:, 1], out[:, 3])
    return out
