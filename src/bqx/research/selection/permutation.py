"""Clustered permutation importance of a ridge forecast: permute all of a cluster at once, in blocks of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.research.ridge import PENALTIES

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
REPEATS = 4


def ridge_importance(Z: F4, Y: F8, position: I8, cluster: I8, train: I8, test: I8, block: int, seed: int) -> F8:
    """Rise of the squared error on purged rows when a cluster is permuted, in units of the target's variance.

    Shape (clusters, targets). Z (n, columns) standardised, Y clipped; the penalty of each target is the best on `test`
    (the same for all clusters, so it favours none).
    """
    A, y = Z[train].astype(np.float64), Y[train]
    values, vectors = np.linalg.eigh(A.T @ A)
    cross = vectors.T @ (A.T @ y)
    held, truth = Z[test].astype(np.float64), Y[test]
    best: F8 | None = None
    least = np.full(Y.shape[1], np.inf)
    for penalty in PENALTIES:
        coef = vectors @ (cross / (np.maximum(values, 0.0) + penalty * len(A))[:, None])
        error = ((truth - held @ coef) ** 2).sum(axis=0)
        best = coef if best is None else np.where(error < least, coef, best)
        least = np.minimum(least, error)
    assert best is not None
    missed = truth - held @ best
    order = [block_permutation(position[test], block, seed, k) for k in range(REPEATS)]
    out = np.empty((int(cluster.max()) + 1, Y.shape[1]))
    for c in range(len(out)):
        members = np.flatnonzero(cluster == c)
        part = held[:, members] @ best[members]
        rise = np.zeros(Y.shape[1])
        for rows in order:
            change = part - part[rows]
            rise += (change * (change + 2.0 * missed)).mean(axis=0)
        out[c] = rise / REPEATS
    return np.asarray(out / truth.var(axis=0))


def block_permutation(position: I8, block: int, seed: int, draw: int) -> I8:
    """Row numbers with blocks of `block` bars in random order: neighbours stay together."""
    parts = np.split(np.arange(len(position)), np.flatnonzero(np.diff(position // block)) + 1)
    order = np.random.default_rng([seed, 7, draw]).permutation(len(parts))
    return np.concatenate([parts[k] for k in order])
