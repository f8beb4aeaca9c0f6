"""Which columns say the same: rank correlations, duplicates, and clusters of average linkage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import Unsupported

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


def rank_scores(X: F4) -> F4:
    """Columns as ranks with mean 0 and variance 1, 0 for NULL; ties share their mean rank. Shape (n, columns)."""
    out = np.zeros(X.shape, dtype=np.float32, order="F")
    for k in range(X.shape[1]):
        known = np.flatnonzero(np.isfinite(X[:, k]))
        rank = mean_ranks(X[known, k])
        rank -= rank.mean()
        size = np.sqrt((rank * rank).mean()) if len(rank) else 0.0
        if size > 0.0:
            out[known, k] = rank / size
    return out


def mean_ranks(x: NDArray[np.floating]) -> F8:
    """Ranks from 0, equal values share their mean.

    >>> mean_ranks(np.array([3.0, 1.0, 3.0, 2.0]))
    array([2.5, 0. , 2.5, 1. ])
    """
    order = np.argsort(x, kind="stable")
    ordered = x[order]
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(x) else np.zeros(0, np.int64)
    size = np.diff(np.r_[start, len(x)])
    rank = np.empty(len(x))
    rank[order] = np.repeat(start + 0.5 * (size - 1), size)
    return rank


def correlations(Z: F4) -> F4:
    """Correlations of columns of mean 0 and variance 1 over known rows. Shape (columns, columns)."""
    R = np.asarray(Z.T @ Z, dtype=np.float32)
    size = np.sqrt(np.maximum(np.diag(R), 1e-12))
    R /= size[:, None]
    R /= size[None, :]
    np.fill_diagonal(R, 1.0)
    return R


def duplicates(R: F4, limit: float) -> I8:
    """For each column the earliest one it repeats (|rho| > limit), itself when none. Shape (columns,)."""
    out = np.arange(len(R))
    for k in range(len(R)):
        same = np.flatnonzero(np.abs(R[k, :k]) > limit)
        first = next((int(j) for j in same if out[j] == j), None)
        if first is not None:
            out[k] = first
    return out


def cluster_ids(R: F4, at: float) -> I8:
    """Cluster number of each column: average linkage of 1 - |rho|, cut where |rho| falls below `at`; numbered by first
    member."""
    if len(R) == 1:
        return np.zeros(1, np.int64)
    try:
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import squareform
    except ModuleNotFoundError as exc:
        raise Unsupported("clusters need SciPy, which is not installed", fix="pip install 'bqx[research]'") from exc
    distance = np.maximum(1.0 - np.abs(R.astype(np.float64)), 0.0)
    distance = 0.5 * (distance + distance.T)
    np.fill_diagonal(distance, 0.0)
    raw = fcluster(linkage(squareform(distance, checks=False), "average"), 1.0 - at, "distance")
    _, first, back = np.unique(raw, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    return np.asarray(order[back], dtype=np.int64)
