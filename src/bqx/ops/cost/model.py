"""From inputs and prices to amounts, for one set of figures or for many draws at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.ops.cost import lines_learning, lines_running, lines_serving
from bqx.ops.cost.discount import Discount
from bqx.ops.cost.given import Given
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.rule import MONTH_SHARE, Rule
from bqx.ops.cost.scaling import Scaled, simulate
from bqx.ops.cost.scenario import Scenario
from bqx.ops.cost.traffic import make_profile

F8 = NDArray[np.float64]
PRICE = "price:"
MOST_BUSY = 0.6
"""Of a container's vCPUs in the busiest minute; above it waiting times grow fast."""
SHARES = ("support", "contingency", "tax")


def rules_of(scenario: Scenario) -> list[Rule]:
    """All lines that are multiplied by a price."""
    return [*lines_learning.rules(), *lines_serving.rules(scenario.serving), *lines_running.rules()]


def figures_of(scenario: Scenario, book: PriceBook) -> dict[str, Given]:
    """Every figure that moves this estimate: inputs that a line takes, shares, prices as `price:KEY`."""
    rules = rules_of(scenario)
    names = sorted({n for r in rules for n in r.inputs} | set(SHARES))
    out = {n: scenario.inputs[n] for n in names}
    out |= {f"environment:{n}": _named(g, f"environment:{n}") for n, g in scenario.environments.items()}
    keys = sorted({r.price for r in rules})
    return {**out, **{PRICE + k: _named(book[k].given, PRICE + k) for k in keys}}


def _named(given: Given, name: str) -> Given:
    return Given(name, given.low, given.mode, given.high, given.unit, given.source, given.dated)


@dataclass(frozen=True)
class Amounts:
    """Of a month, one value a draw. lines : by id, before discounts. discounts : by (discount, line), negative.
    unused : by discount. environments : by (name, group). shares : of SHARES. requests : of the month.
    scaled : the week."""

    quantities: Mapping[str, F8]
    lines: Mapping[str, F8]
    discounts: Mapping[tuple[str, str], F8]
    unused: Mapping[str, F8]
    environments: Mapping[tuple[str, str], F8]
    shares: Mapping[str, F8]
    requests: F8
    scaled: Scaled | None

    @property
    def total(self) -> F8:
        parts = [*self.lines.values(), *self.discounts.values(), *self.unused.values(), *self.environments.values(),
                 *self.shares.values()]  # fmt: skip
        return np.asarray(np.sum(parts, axis=0))


def evaluate(scenario: Scenario, x: Mapping[str, F8]) -> Amounts:
    """x : values of `figures_of`, all of one shape (draws,)."""
    rules = rules_of(scenario)
    values, scaled = with_traffic(scenario, x)
    quantities = {r.id: r.quantity(values) for r in rules}
    lines = {r.id: quantities[r.id] * x[PRICE + r.price] for r in rules}
    discounts, unused = _discounted(rules, lines, scenario.taken, x["hours"])
    groups = {r.id: r.group for r in rules}
    by_group: dict[str, F8] = {}
    for name, amount in lines.items():
        by_group[groups[name]] = by_group.get(groups[name], np.zeros_like(amount)) + amount
    environments = {
        (name, group): x[f"environment:{name}"] * amount
        for name in scenario.environments for group, amount in by_group.items()
    }  # fmt: skip
    before = np.sum([*lines.values(), *discounts.values(), *unused.values(), *environments.values()], axis=0)
    shares = {"support": x["support"] * before, "contingency": x["contingency"] * before}
    shares["tax"] = x["tax"] * (before + shares["support"] + shares["contingency"])
    return Amounts(quantities, lines, discounts, unused, environments, shares, values["requests"], scaled)


def with_traffic(scenario: Scenario, x: Mapping[str, F8]) -> tuple[dict[str, F8], Scaled | None]:
    """Inputs and what follows from the traffic: requests, open minutes and, for an endpoint, instance-hours a month."""
    profile = make_profile(scenario.bursts)
    polls, bursts = x["polls"] * x["pairs"], x["bursts"]
    weeks = x["hours"] / MONTH_SHARE
    out = dict(x)
    out["requests"] = profile.week(polls, bursts) * weeks
    out["open_minutes"] = profile.open.sum() * weeks
    if "containers" in x:
        each = (x["predict_ms"] + x["request_ms"]) * x["vcpu_ratio"] / 60_000
        busy = profile.peak(polls, bursts) * each
        out["containers"] = np.maximum(x["containers"], np.ceil(busy / (MOST_BUSY * x["container_vcpus"])))
    if scenario.serving != "endpoint":
        return out, None
    scaled = simulate(lambda t: profile.load(polls, bursts, t), scenario.policy, len(polls))
    out["instances"] = scaled.hours * weeks
    return out, scaled


def _discounted(
    rules: Sequence[Rule], lines: Mapping[str, F8], taken: Sequence[Discount], hours: F8
) -> tuple[dict[tuple[str, str], F8], dict[str, F8]]:
    """Reductions of lines in scope, and what is left of a commitment that they do not use up."""
    discounts: dict[tuple[str, str], F8] = {}
    unused = {}
    for d in taken:
        within = [r.id for r in rules if d.covers(r.price)]
        discounts |= {(d.name, name): -float(d.rate) * lines[name] for name in within}
        spent = sum((lines[name] * (1 - float(d.rate)) for name in within), np.zeros_like(hours))
        if d.commitment:
            unused[d.name] = np.maximum(float(d.commitment) * hours - spent, 0.0)
    return discounts, unused
