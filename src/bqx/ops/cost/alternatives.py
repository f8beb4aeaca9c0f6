"""The ways of serving side by side, on the same draws, and the traffic at which one overtakes another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import combinations
from typing import Any

import numpy as np

from bqx.ops.cost.draws import likeliest
from bqx.ops.cost.estimate import DRAWS, Estimate, estimate
from bqx.ops.cost.model import evaluate, figures_of
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.scenario import SERVING, Scenario

NAMES = {
    "endpoint": "an endpoint of large instances, always on",
    "container": "small containers, always on",
    "serverless": "functions on request",
    "batch": "forecasts of all pairs once a minute, as files",
}
FACTORS = np.logspace(-2, 3, 101)
"""Times the likeliest traffic that break-evens are looked for in."""
UNBOUNDED = 10_000
"""Instances: a fleet that is too small would look cheap."""


@dataclass(frozen=True)
class Alternative:
    """estimate : of the month. cheapest : share of the draws in which it is the cheapest of all."""

    serving: str
    estimate: Estimate
    cheapest: float

    @property
    def serving_cost(self) -> Decimal:
        """Of the lines of serving alone."""
        return self.estimate.groups()["serving"]

    def as_dict(self) -> dict[str, Any]:
        e = self.estimate
        return {"serving": self.serving, "what": NAMES[self.serving], "total": str(e.total), "p10": str(e.p10),
                "p50": str(e.p50), "p90": str(e.p90), "serving_lines": str(self.serving_cost),
                "per_thousand": None if e.per_thousand is None else str(e.per_thousand),
                "cheapest_share": self.cheapest}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Crossing:
    """requests : a month at which `cheaper` and `dearer` change places; below it the first is the cheaper. None: never
    between a hundredth and a thousand times the traffic."""

    cheaper: str
    dearer: str
    requests: float | None

    def as_dict(self) -> dict[str, Any]:
        return {"cheaper": self.cheaper, "dearer": self.dearer, "until_requests": self.requests}


def alternatives(scenario: Scenario, book: PriceBook, *, draws: int = DRAWS, seed: int = 0) -> list[Alternative]:
    """All of SERVING, cheapest first by the likeliest month."""
    made = [(how, estimate(scenario.serve(how), book, draws=draws, seed=seed)) for how in SERVING]
    best = np.array([e.totals for _, e in made]).argmin(axis=0)
    out = [Alternative(how, e, float((best == k).mean())) for k, (how, e) in enumerate(made)]
    return sorted(out, key=lambda a: a.estimate.total)


def crossings(scenario: Scenario, book: PriceBook) -> list[Crossing]:
    """Between each two ways, as the traffic grows and everything else stays."""
    curves = {how: _curve(scenario.serve(how), book) for how in SERVING}
    requests = curves[SERVING[0]][0]
    return [_crossing(a, b, requests, curves[a][1], curves[b][1]) for a, b in combinations(SERVING, 2)]


def _curve(scenario: Scenario, book: PriceBook) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    x = likeliest(figures_of(scenario, book).values(), len(FACTORS))
    x["polls"], x["bursts"] = x["polls"] * FACTORS, x["bursts"] * FACTORS
    free = replace(scenario, policy=replace(scenario.policy, most=UNBOUNDED))
    found = evaluate(free, x)
    return found.requests, found.total


def _crossing(a: str, b: str, requests: Any, one: Any, other: Any) -> Crossing:
    gap = np.asarray(other) - np.asarray(one)
    first, second = (a, b) if gap[0] >= 0 else (b, a)
    changed = np.flatnonzero(np.sign(gap[1:]) != np.sign(gap[:-1]))
    if not len(changed):
        return Crossing(first, second, None)
    k = int(changed[0])
    share = gap[k] / (gap[k] - gap[k + 1])
    low, high = np.log(requests[k]), np.log(requests[k + 1])
    return Crossing(first, second, float(np.exp(low + share * (high - low))))
