"""Worlds whose links are known: series driven by two common factors, with turmoil that all share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bqx.features.streams import HALF_LIFE
from bqx.market.pairs import PAIRS
from bqx.research.causality.parts import Parts
from bqx.research.causality.run import Causality, run_series
from bqx.research.causality.series import Series, parse_kind
from bqx.research.causality.settings import Settings

HEAD = 100
"""Steps before the world begins."""

Plant = tuple[int, int, int, float]
"""Source, target, lag, and how much of the source's value the target gets."""


def world(steps: int, pairs: int, seed: int, plants: Sequence[Plant] = (), kind: str = "return_5") -> Series:
    """Values of the first `pairs` pairs: 0.8 own noise, two factors with loadings of sd 0.4, and a common volatility
    that changes by a factor of 2.7 within a day; over the deviation known before, as `series_of` does."""
    rng = np.random.default_rng(seed)
    every = parse_kind(kind)[1]
    steps += HEAD
    loadings = 0.4 * rng.normal(size=(2, pairs))
    values = 0.8 * rng.normal(size=(steps, pairs)) + rng.normal(size=(steps, 2)) @ loadings
    position = np.arange(steps, dtype=np.int64) * every + every - 1
    values *= np.exp(0.5 * np.sin(2 * np.pi * position / 1440))[:, None]
    for source, target, lag, share in plants:
        values[lag:, target] += share * values[:-lag, source]
    values = values[HEAD:] / known_deviation(values, HALF_LIFE / every)[HEAD:]
    position = position[: len(values)]
    return Series(kind, every, PAIRS[:pairs], position + 28_000_800, position, position // 7200, values)


def known_deviation(values: np.ndarray, half_life: float) -> np.ndarray:
    """EWMA standard deviation through the step before, each column."""
    keep = 2.0 ** (-1.0 / half_life)
    out, variance = np.empty_like(values), np.square(values[:HEAD]).mean(axis=0)
    for t, row in enumerate(values):
        out[t] = np.sqrt(variance)
        variance = keep * variance + (1.0 - keep) * row * row
    return out


def asked(series: Series, folder: Path, *, workers: int = 1, **options: object) -> Causality:
    """A run on series in memory, with parts in `folder`."""
    settings = Settings(series.names, int(series.minute[0]), int(series.minute[-1]) + 1, (series.kind,), **options)  # type: ignore[arg-type]
    return run_series([series], settings, Parts(folder, settings.digest), workers=workers)
