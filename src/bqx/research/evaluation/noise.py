"""What pure noise gets: the skill of the same forecasts on truths whose signs are flipped at random, in blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
BLOCK = 240
"""Bars whose signs flip together, in all pairs alike."""
FLIPS = 400


@dataclass(frozen=True, slots=True)
class Noise:
    """mean, high : mean and 95 % quantile of the skill on flipped truths. p : share of them, the truth among them, that
    are at least as good as the truth."""

    mean: float
    high: float
    p: float


def flipped(walk: F8, model: F8, square: F8, position: I8, seed: int, flips: int = FLIPS) -> Noise:
    """From sums (times,) of y^2, (y - f)^2 and f^2 at `position` (bars).

    A flip changes y f and neither y^2 nor f^2, so a skill is (2 sum s y f - sum f^2) / sum y^2: exact, without fitting.
    """
    _, block = np.unique(position // BLOCK, return_inverse=True)
    products = np.bincount(block, weights=(walk + square - model) / 2.0)
    signs = np.where(np.random.default_rng(seed).random((flips, len(products))) < 0.5, -1.0, 1.0)
    # an ordinary sum of products: BLAS may add in another order from machine to machine
    scores = (2.0 * (signs * products).sum(axis=1) - square.sum()) / walk.sum()
    truth = 1.0 - model.sum() / walk.sum()
    p = (1 + int((scores >= truth).sum())) / (1 + flips)
    return Noise(float(scores.mean()), float(np.quantile(scores, 0.95)), p)
