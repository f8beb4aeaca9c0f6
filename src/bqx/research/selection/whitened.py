"""Elastic net on whitened columns, whose path has a closed form, and its stability over halves of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.research.selection.clusters import correlations

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class Whitener:
    """R^(-1/2) of the shrunk correlation matrix of the columns: ZCA-cor whitening (Kessy, Lewin and Strimmer 2018).

    Whitened columns are uncorrelated and each is as close to its own column as can be, so an elastic net on them is
    a soft threshold of their correlations with the target, and columns enter the path in the order of these.
    """

    root: F8
    shrinkage: float

    @classmethod
    def fit(cls, Z: F4, effective: float) -> Whitener:
        """Z (n, columns) standardised, worth `effective` independent rows; shrinkage by Schaefer and Strimmer 2005."""
        R = correlations(Z).astype(np.float64)
        away = R[~np.eye(len(R), dtype=bool)]
        noise, signal = float(((1.0 - away**2) ** 2).sum()) / effective, float((away**2).sum())
        shrinkage = min(max(noise / signal, 0.01), 1.0) if signal > 0.0 else 1.0
        R = (1.0 - shrinkage) * R + shrinkage * np.eye(len(R))
        values, vectors = np.linalg.eigh(R)
        return cls((vectors / np.sqrt(np.maximum(values, 1e-6))) @ vectors.T, shrinkage)

    def entry(self, cross: F8) -> F8:
        """Penalty at which each column enters the path, from correlations with the targets (columns, ...)."""
        return np.abs(self.root @ cross)


def cross_moments(Z: F4, Y: F8, block: I8) -> tuple[F4, F8]:
    """Sums of Z times the standardised target over each block, (blocks, columns, targets), and rows of each block.

    block : number of each row, rising from 0.
    """
    y = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    starts = np.flatnonzero(np.r_[True, np.diff(block) != 0])
    sums = np.empty((len(starts), Z.shape[1], Y.shape[1]), dtype=np.float32)
    ends = np.r_[starts[1:], len(Z)]
    y4 = y.astype(np.float32)
    for b, (i, j) in enumerate(zip(starts, ends, strict=True)):
        sums[b] = Z[i:j].T @ y4[i:j]
    return sums, (ends - starts).astype(np.float64)


def stability(whitener: Whitener, sums: F4, rows: F8, halves: int, per_half: int, seed: int) -> F8:
    """Share of `halves` random halves of the blocks in which each column is among the first `per_half` of the path.

    Halves come in complementary pairs (Shah and Samworth 2013); targets are pooled by the mean of their squares.
    """
    rng = np.random.default_rng([seed, 11])
    blocks, columns, targets = sums.shape
    pick = np.zeros((halves, blocks), dtype=np.float32)
    for b in range(0, halves, 2):
        order = rng.permutation(blocks)
        pick[b, order[: blocks // 2]] = 1.0
        pick[b + 1, order[blocks // 2 :]] = 1.0
    cross = (pick @ sums.reshape(blocks, -1)).reshape(halves, columns, targets).astype(np.float64)
    cross /= (pick.astype(np.float64) @ rows)[:, None, None]
    chosen = np.zeros(columns)
    for b in range(halves):
        strength = (whitener.entry(cross[b]) ** 2).mean(axis=1)
        chosen[np.argsort(-strength, kind="stable")[:per_half]] += 1.0
    return chosen / halves
