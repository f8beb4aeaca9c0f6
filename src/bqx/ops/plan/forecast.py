"""How long the rest will take: estimates scaled by how actual durations have compared with theirs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from bqx.ops.plan.model import Plan
from bqx.ops.plan.schedule import schedule

FEWEST = 3
"""Finished stages below which no forecast is made."""
DRAWS = 500


@dataclass(frozen=True, slots=True)
class Forecast:
    """Hours left, one stage at a time and side by side. actuals : finished stages it rests on; the rest is None with a
    reason when there are too few."""

    actuals: int
    p50: float | None = None
    p90: float | None = None
    parallel_p50: float | None = None
    parallel_p90: float | None = None
    error: float | None = None
    reason: str = ""


def forecast(plan: Plan, actual: Mapping[str, float], done: frozenset[str], seed: int = 1) -> Forecast:
    """actual : hours that finished stages took. done : stages that need no more work.

    Each draw gives every open stage the ratio of actual to estimate of a finished one chosen at random. error : median
    of |actual - estimate| / estimate.
    """
    ratios = [hours / plan.stages[n].hours for n, hours in actual.items() if plan.stages[n].hours]  # type: ignore[operator]
    left = [name for name in plan.order if name not in done and plan.stages[name].hours]
    if len(ratios) < FEWEST:
        return Forecast(len(ratios), reason=f"{len(ratios)} finished stages have an estimate, {FEWEST} are needed")
    rng = random.Random(seed)  # noqa: S311 - reproducible draws, no secret
    one: list[float] = []
    side: list[float] = []
    for _ in range(DRAWS):
        hours = {name: (plan.stages[name].hours or 0.0) * rng.choice(ratios) for name in left}
        one.append(sum(hours.values()))
        side.append(schedule(plan, left, hours).hours)
    errors = sorted(abs(ratio - 1) for ratio in ratios)
    return Forecast(
        len(ratios),
        p50=_at(one, 50),
        p90=_at(one, 90),
        parallel_p50=_at(side, 50),
        parallel_p90=_at(side, 90),
        error=errors[len(errors) // 2],
    )


def _at(values: list[float], per_cent: int) -> float:
    return sorted(values)[min(len(values) * per_cent // 100, len(values) - 1)]
