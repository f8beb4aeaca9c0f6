"""L5: no information interval of a training row meets one of a test row, by brute force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bqx.research.leakage.result import LeakResult
from bqx.research.split_plan import SplitPlan

if TYPE_CHECKING:
    from collections.abc import Iterable

I8 = NDArray[np.int64]


def l5_geometry(plan: SplitPlan, every: int = 15) -> LeakResult:
    """Walk-forward and combinatorial splits of rows `every` bars apart, and the seal."""
    at = np.arange(plan.first, plan.end, dtype=np.int64)
    at = at[at % every == 0]
    pairs = [*plan.walk.split(at), *plan.combinatorial.split(at)]
    compared, wrong = intersections(at, pairs, plan.horizon)
    if plan.sealed is not None:
        wrong += int((at + plan.horizon >= plan.sealed).sum())
        compared += len(at)
    return LeakResult("L5", "purge geometry", compared, wrong, f"{len(pairs)} splits, rows {every} bars apart")


def intersections(at: I8, splits: Iterable[tuple[I8, I8]], horizon: int) -> tuple[int, int]:
    """Training intervals looked at, and those [t, t + horizon] that hold a bar of some test interval."""
    compared = wrong = 0
    low = int(at.min())
    for train, test in splits:
        taken = np.zeros(int(at.max()) + 2 * horizon + 2 - low, bool)
        for t in at[test]:
            taken[t - low : t - low + horizon + 1] = True
        for t in at[train]:
            wrong += bool(taken[t - low : t - low + horizon + 1].any())
        compared += len(train)
    return compared, wrong
