"""A feature's days as counts: the only thing that drift needs to remember."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
BINS = 10
"""Bins of values at the reference's deciles; one more holds NULL."""


def edges(values: F4, bins: int = BINS) -> F8:
    """Inner edges (bins - 1,) at quantiles of the reference values (n,); equal ones leave bins empty, which is right
    for columns of a few values. All NaN when there is no value."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.full(bins - 1, np.nan)
    return np.asarray(np.quantile(known.astype(np.float64), np.arange(1, bins) / bins))


def day_counts(values: F4, day: I8, days: I8, inner: F8) -> F8:
    """Counts (days, bins + 1) of values (n,) by trade day; the last bin is NULL. Days without rows are 0.

    A value on an edge belongs to the bin above it.
    """
    bins = len(inner) + 1
    known = np.isfinite(values)
    cell = np.full(len(values), bins, dtype=np.int64)
    if np.isfinite(inner).all():
        cell[known] = np.searchsorted(inner, values[known].astype(np.float64), side="right")
    else:
        cell[known] = 0
    at = np.searchsorted(days, day)
    inside = (at < len(days)) & (days[np.minimum(at, len(days) - 1)] == day)
    flat = np.bincount(at[inside] * (bins + 1) + cell[inside], minlength=len(days) * (bins + 1))
    return flat.reshape(len(days), bins + 1).astype(np.float64)


def shares(counts: F8) -> F8:
    """Counts (..., bins) as probabilities with half a row in every bin, so that no logarithm is of 0."""
    filled = counts + 0.5
    return np.asarray(filled / filled.sum(axis=-1, keepdims=True))


def psi(p: F8, q: F8) -> F8:
    """Population stability index: the symmetric divergence of Jeffreys (1946), over the last axis."""
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))
