"""A ridge forecast pooled over pairs, each pair standardised by its own training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B1 = NDArray[np.bool_]

PENALTIES = (0.1, 1.0, 10.0, 100.0)
"""Tried in the inner fold, as multiples of the number of training rows; each is a trial."""
CLIP = 5.0


@dataclass(frozen=True)
class Scaler:
    """Per pair and column: clip at median +- 5 robust sigmas (IQR / 1.349), then mean 0 and variance 1.

    A column whose quartiles coincide (flags) is not clipped; one that is constant becomes 0.
    """

    low: F8
    high: F8
    mean: F8
    scale: F8

    @classmethod
    def fit(cls, X: F8) -> Scaler:
        """From training rows X (n, pairs, columns), NaN for NULL."""
        n = len(X)
        ordered = np.sort(X, axis=0)
        count = np.maximum(n - np.isnan(X).sum(axis=0), 1)
        q1, q2, q3 = (
            np.take_along_axis(ordered, np.minimum((count * q).astype(np.int64), n - 1)[None], 0)[0]
            for q in (0.25, 0.5, 0.75)
        )
        reach = CLIP * (q3 - q1) / 1.349
        low = np.where(reach > 0, q2 - reach, -np.inf)
        high = np.where(reach > 0, q2 + reach, np.inf)
        clipped = np.clip(X, low, high)
        known = np.isfinite(clipped)
        mean = np.where(known, clipped, 0.0).sum(axis=0) / count
        variance = np.where(known, (clipped - mean) ** 2, 0.0).sum(axis=0) / count
        scale = np.sqrt(variance)
        flat = ~(scale > 1e-9 * np.maximum(np.abs(mean), 1e-9))
        return cls(low, high, np.where(np.isfinite(mean), mean, 0.0), np.where(flat, np.inf, scale))

    def transform(self, X: F8) -> F8:
        return np.asarray((np.clip(X, self.low, self.high) - self.mean) / self.scale)


def clip_targets(y: F8) -> F8:
    """Training targets (rows,) clipped at 5 robust sigmas around 0; tests are never clipped."""
    reach = CLIP * float(np.median(np.abs(y))) / 0.6745 if len(y) else 0.0
    return np.clip(y, -reach, reach)


@dataclass(frozen=True)
class Moments:
    """All that least squares needs of features Z (rows, columns) and a target y (rows,) times each column of signs.

    gram (columns, columns), cross (columns, targets), square = sum of y squared, the same for every sign.
    """

    rows: int
    gram: F8
    cross: F8
    square: float

    @classmethod
    def of(cls, Z: F8, y: F8, block: I8, signs: F8, gram: F8 | None = None) -> Moments:
        """`block` (rows,), ascending, is each row's row in `signs` (blocks, targets); `gram` saves computing it."""
        starts = np.flatnonzero(np.r_[True, np.diff(block) != 0]) if len(block) else np.zeros(0, np.int64)
        sums = np.add.reduceat(Z * y[:, None], starts, axis=0) if len(starts) else np.zeros((0, Z.shape[1]))
        return cls(len(Z), Z.T @ Z if gram is None else gram, sums.T @ signs[block[starts]], float(y @ y))

    def errors(self, coef: F8) -> F8:
        """Sum of squared errors of forecasts Z @ coef, for each target."""
        fitted = np.einsum("ij,ij->j", coef, self.gram @ coef)
        out: F8 = self.square - 2.0 * np.einsum("ij,ij->j", coef, self.cross) + fitted
        return out


def solve(m: Moments, penalty: F8) -> F8:
    """Ridge coefficients (columns, targets) with one penalty a target, in multiples of the number of rows.

    The same as scikit-learn's Ridge(alpha=penalty * rows, fit_intercept=False), from one eigendecomposition. No
    intercept: the random-walk forecast is 0, and a trend would have to earn its place as a feature.
    """
    values, vectors = np.linalg.eigh(m.gram)
    shrunk = (vectors.T @ m.cross) / (np.maximum(values, 0.0)[:, None] + penalty[None, :] * m.rows)
    return np.asarray(vectors @ shrunk)


def choose_penalties(fit: Moments, choose: Moments) -> F8:
    """The penalty of PENALTIES with the least squared error on the rows of `choose`, for each target."""
    targets = fit.cross.shape[1]
    errors = np.stack([choose.errors(solve(fit, np.full(targets, p))) for p in PENALTIES])
    best: F8 = np.array(PENALTIES)[errors.argmin(axis=0)]
    return best
