"""Invented training rows: column 0 moves the mean of the targets, column 1 their spread, the rest is noise."""

from __future__ import annotations

import numpy as np

from bqx.research.artefact import TrainingRows

FIRST_MINUTE = 28_000_020
FACTS = {
    "dataset": "invented",
    "dataset_hash": "0" * 32,
    "lag_profile": "seed",
    "catalogue_version": "none",
    "simulated": True,
}


def invented_rows(
    pair: str = "eurusd", n: int = 2400, columns: int = 8, effect: float = 0.3, seed: int = 0, tilt: float = 0.0
) -> TrainingRows:
    """Rows 15 bars apart of horizons 15 and 60; `tilt` is added to the targets of this pair. 3 % of X is NULL."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, columns)).astype(np.float32)
    spread = np.exp(0.4 * X[:, 1])
    y = {h: tilt + effect * sign * X[:, 0] + spread * rng.normal(size=n) for h, sign in ((15, 1.0), (60, -1.0))}
    X[rng.random(X.shape) < 0.03] = np.nan
    y[60][-4:] = np.nan
    position = 15 * np.arange(n, dtype=np.int64)
    names = tuple(f"invented_rate.c{k}" for k in range(columns))
    sigma = np.exp(0.3 * rng.normal(size=n))
    return TrainingRows(
        pair, names, X, position, position + FIRST_MINUTE, sigma, y, {h: v.copy() for h, v in y.items()}
    )
