"""Invented rows for estimators: what moves the mean and the spread of the targets is known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.research.artefact import TrainingRows
from bqx.research.tuning.inner import Problem, inner_folds

F8 = NDArray[np.float64]
FIRST_MINUTE = 28_000_020


def rows_of(
    X: NDArray[np.floating], y: dict[int, F8], sigma: F8, pair: str = "eurusd", every: int = 15
) -> TrainingRows:
    """Rows `every` bars apart with y as both targets of each horizon."""
    position = every * np.arange(len(X), dtype=np.int64)
    names = tuple(f"invented_rate.c{k}" for k in range(X.shape[1]))
    x = np.ascontiguousarray(X, dtype=np.float32)
    other = {h: v.copy() for h, v in y.items()}
    return TrainingRows(pair, names, x, position, position + FIRST_MINUTE, sigma, y, other)


def invented_rows(
    pair: str = "eurusd", n: int = 2400, columns: int = 8, effect: float = 0.3, seed: int = 0, tilt: float = 0.0
) -> TrainingRows:
    """Column 0 moves the mean of the targets of 15 and 60 bars, column 1 their spread, the rest is noise; `tilt` is
    added to the targets of this pair. 3 % of X is NULL."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, columns)).astype(np.float32)
    spread = np.exp(0.4 * X[:, 1])
    y = {h: tilt + effect * sign * X[:, 0] + spread * rng.normal(size=n) for h, sign in ((15, 1.0), (60, -1.0))}
    X[rng.random(X.shape) < 0.03] = np.nan
    y[60][-4:] = np.nan
    return rows_of(X, y, np.exp(0.3 * rng.normal(size=n)), pair)


def product(n: int, effect: float, seed: int) -> tuple[NDArray[np.float32], F8]:
    """Eight columns and a target that two of them move by their product alone."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 8)).astype(np.float32)
    return X, effect * X[:, 0] * X[:, 1] + rng.normal(size=n)


def curved(effect: float, n: int = 3000, seed: int = 0) -> Problem:
    """The product to be tuned for: small trees with few columns hardly see it."""
    X, y = product(n, effect, seed)
    rows = rows_of(X, {15: y}, np.ones(n))
    return Problem("boosting", 3, {("eurusd", 15): rows}, inner_folds(0, 15 * n, 3, 15, 150), 150)


def wandering(days: int, seed: int, drift: float = 1.0) -> TrainingRows:
    """Returns of 60 minutes every 15, in units of a lagging EWMA of a volatility that wanders and has a daily wave; in
    the last third labels grow by `drift`, which sigma does not see. One column tells the hour's part of the wave."""
    rng = np.random.default_rng(seed)
    n = days * 1440
    level = np.cumsum(np.r_[0.0, 0.002 * rng.normal(size=n - 1)])
    wave = 0.5 * np.sin(2 * np.pi * np.arange(n) / 1440)
    r = np.exp(np.clip(level - level.mean(), -1.5, 1.5)) * (1 + wave) * rng.normal(size=n)
    variance, state = np.empty(n), 1.0
    for t in range(n):
        variance[t] = state
        state = 0.98 * state + 0.02 * r[t] ** 2
    price, at = np.r_[0.0, np.cumsum(r)], np.arange(600, n - 61, 15)
    sigma = np.sqrt(variance[at])
    y = (price[at + 61] - price[at + 1]) / (sigma * math.sqrt(60))
    y *= np.where(np.arange(len(at)) >= 2 * len(at) // 3, drift, 1.0)
    X = np.column_stack([wave[at], *rng.normal(size=(5, len(at)))])
    return rows_of(X, {60: y}, sigma)
