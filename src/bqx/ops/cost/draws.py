"""Figures drawn from their ranges. Draw i of a figure depends on seed, name and i alone: another figure, or more draws,
move none of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bqx.ops.cost.given import Given

F8 = NDArray[np.float64]
NODES = 2001
"""Of the distribution function between the ends; its inverse is right to a ten-thousandth of the range."""


def uniforms(seed: int, name: str, draws: int) -> F8:
    """From a counter-based generator (Philox) whose key is made of seed and name."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    key = np.frombuffer(digest[:16], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(draws)


def pert(given: Given, u: F8) -> F8:
    """Inverse distribution function of the PERT law of low, mode, high: a beta law between the ends with mean
    (low + 4 mode + high) / 6, so that ends which somebody called extreme stay rare.

    >>> from datetime import date
    >>> from decimal import Decimal as D
    >>> pert(Given("x", D(0), D(1), D(2), "h", "test", date(2026, 1, 1)), np.array([0.0, 0.5, 1.0])).round(9).tolist()
    [0.0, 1.0, 2.0]
    """
    low, mode, high = float(given.low), float(given.mode), float(given.high)
    if low == high:
        return np.full(len(u), mode)
    a = 4.0 * (mode - low) / (high - low)
    t = np.linspace(0.0, 1.0, NODES)
    density = t**a * (1.0 - t) ** (4.0 - a)
    rising = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return low + (high - low) * np.interp(u, rising / rising[-1], t)


def likeliest(figures: Iterable[Given], draws: int = 1) -> dict[str, F8]:
    return {g.name: np.full(draws, float(g.mode)) for g in figures}


def drawn(figures: Iterable[Given], seed: int, draws: int) -> dict[str, F8]:
    return {g.name: pert(g, uniforms(seed, g.name, draws)) for g in figures}
