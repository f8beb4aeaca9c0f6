"""Relevance without redundancy (Peng, Long and Ding 2005), on mutual information less what chance gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.market.sim_math import kernel

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
BINS = 4
"""Few, for mutual information of 4 x 4 cells has 9 degrees of freedom and one of 8 x 8 has 49 to hide an effect in."""
STEPS = 400


def codes(X: NDArray[np.floating], bins: int = BINS) -> NDArray[np.uint8]:
    """Quantile bin of each value, a bin of its own (`bins`) for NULL. Shape as X, column by column in memory."""
    out = np.full(X.shape, bins, dtype=np.uint8, order="F")
    for k in range(X.shape[1]):
        known = np.isfinite(X[:, k])
        edges = np.quantile(X[known, k].astype(np.float64), np.arange(1, bins) / bins) if known.any() else []
        out[known, k] = np.searchsorted(edges, X[known, k], side="right")
    return out


@kernel
def information(x: NDArray[np.uint8], y: NDArray[np.uint8], levels: int, worth: float) -> F8:
    """Mutual information in nats of codes x (n, columns) and y (n, targets), less its bias for `worth` rows.

    The bias is that of Miller (1955): (used cells of x - 1)(of y - 1) / (2 worth). Shape (columns, targets).
    """
    n, p = x.shape
    t = y.shape[1]
    out = np.empty((p, t))
    for j in range(p):
        for k in range(t):
            table = np.zeros((levels, levels))
            for i in range(n):
                table[x[i, j], y[i, k]] += 1.0
            total, a_used, b_used = 0.0, 0, 0
            a, b = table.sum(axis=1), table.sum(axis=0)
            for u in range(levels):
                a_used += a[u] > 0
                b_used += b[u] > 0
                for v in range(levels):
                    if table[u, v] > 0:
                        total += table[u, v] / n * np.log(table[u, v] * n / (a[u] * b[v]))
            out[j, k] = total - (a_used - 1) * (b_used - 1) / (2.0 * worth)
    return out


def mrmr_order(relevance: F8, R: F4, steps: int = STEPS) -> F8:
    """Score by which columns are taken, greatest first: the first `steps` one by one, the rest by what is left.

    At each step relevance (share of the largest) less the mean squared correlation with those taken: for Gaussian
    columns 1 - exp(-2 MI) (Linfoot 1957). Shape (columns,).
    """
    p = len(relevance)
    top = float(relevance.max())
    worth = relevance / top if top > 0 else relevance - top
    redundancy = np.zeros(p)
    taken = np.zeros(p, bool)
    score = np.empty(p)
    for step in range(min(steps, p)):
        value = worth - (redundancy / step if step else 0.0)
        value[taken] = -np.inf
        best = int(np.argmax(value))
        taken[best] = True
        score[best] = 2.0 * p - step
        redundancy += R[best].astype(np.float64) ** 2
    left = np.flatnonzero(~taken)
    if len(left):
        value = (worth - redundancy / max(int(taken.sum()), 1))[left]
        score[left[np.argsort(-value, kind="stable")]] = p - np.arange(len(left), dtype=np.float64)
    return score
