"""The models that may be the best: the model confidence set of Hansen, Lunde and Nason (2011)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.research.bootstrap import resampled_sums

F8 = NDArray[np.float64]
SIZE = 0.05
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class ConfidenceSet:
    """models with their mean loss and p; those with p > `size` form the set that holds the best one with 95 %."""

    models: tuple[str, ...]
    losses: tuple[float, ...]
    p: tuple[float, ...]
    size: float = SIZE

    @property
    def kept(self) -> tuple[str, ...]:
        return tuple(m for m, p in zip(self.models, self.p, strict=True) if p > self.size)

    def as_dict(self) -> dict[str, Any]:
        rows = zip(self.models, self.losses, self.p, strict=True)
        return {
            "size": self.size,
            "models": [{"model": m, "loss": v, "p": p, "kept": p > self.size} for m, v, p in rows],
        }


def confidence_set(
    losses: F8, models: Sequence[str], block: float, *, draws: int = DRAWS, seed: int = 0
) -> ConfidenceSet:
    """Of losses (times in order, models), by the range statistic and a stationary bootstrap of mean `block` rows."""
    n, k = losses.shape
    if k != len(models) or k < 2 or n < 50:
        raise EvaluationError(f"a confidence set of {k} models and {n} times asked, 2 and 50 are the least")
    resampled = resampled_sums(np.ascontiguousarray(losses), block, draws, seed) / n
    return ConfidenceSet(
        tuple(models), tuple(losses.mean(axis=0).tolist()), tuple(eliminated(losses.mean(axis=0), resampled).tolist())
    )


def eliminated(mean: F8, resampled: F8) -> F8:
    """p of each model from mean losses (k,) and those of resamples (draws, k).

    Differences of two models are in units of their bootstrap deviation. While several are left: the largest
    difference is compared with the resamples' largest, centred, and the model that loses by it goes. A model's p is the
    largest of its own and of those that went before; the last has 1. Models with equal losses never go by each other.
    """
    k = len(mean)
    gap = mean[:, None] - mean[None]
    centred = resampled[:, :, None] - resampled[:, None] - gap[None]
    spread = np.sqrt((centred**2).mean(axis=0))
    unit = np.where(spread > 1e-14 * max(float(np.abs(mean).max()), 1e-300), spread, np.inf)
    t, draws = gap / unit, centred / unit
    left = np.ones(k, dtype=bool)
    out, highest = np.ones(k), 0.0
    while left.sum() > 1:
        rows = np.flatnonzero(left)
        among = t[np.ix_(rows, rows)]
        worst = float(among.max())
        largest = draws[:, rows[:, None], rows[None]].max(axis=(1, 2))
        highest = max(highest, float((largest >= worst).mean()))
        loser = rows[int(among.max(axis=1).argmax())]
        out[loser] = highest
        left[loser] = False
    return out
