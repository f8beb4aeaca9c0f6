"""Rows of the evaluator without files: independent or overlapping labels, a forecast that knows a share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bqx.research.evaluation.rows import Rows
from bqx.research.evaluation.sums import times
from bqx.research.evaluation.target import TargetFound, TargetSums


def rows(
    n: int = 2000,
    *,
    pair: str = "eurusd",
    horizon: int = 15,
    seed: int = 0,
    r2: float = 0.0,
    size: float = 0.03,
    overlap: int = 1,
) -> Rows:
    """y4 of unit variance, moving sums of `overlap` rows; forecasts of variance `r2` or, knowing nothing, `size`^2."""
    rng = np.random.default_rng([seed, sum(map(ord, pair)), horizon])
    e = rng.normal(size=(2, n + overlap - 1))
    noise, f = (np.convolve(x, np.ones(overlap) / math.sqrt(overlap), "valid") for x in e)
    f = f * (math.sqrt(r2) if r2 else size)
    y = noise * math.sqrt(1.0 - r2) + (f if r2 else 0.0)
    at = np.arange(n, dtype=np.int64) * 15
    return Rows(
        pair=pair,
        horizon=horizon,
        minute=at,
        position=at,
        fold=np.arange(n, dtype=np.int64) * 4 // n,
        session=at // 288 % 5,
        tercile=np.arange(n, dtype=np.int64) % 3,
        clean=True,
        sigma=1.0 + 0.1 * np.abs(rng.normal(size=n)),
        cost=np.full(n, 0.5),
        move=y * math.sqrt(horizon),
        truth={"y3": y, "y4": y},
        forecasts={"y4": {"model": f, "persistence": 0.02 * rng.normal(size=n)}},
    )


def judged(cells: Sequence[Rows], *, draws: int = 400, kinds: tuple[str, ...] = ()) -> TargetFound:
    sums = TargetSums("y4", times([c.position for c in cells]), ("persistence",), draws=draws, kinds=kinds)
    for cell in cells:
        sums.add(cell)
    return sums.found()
