"""Scenarios for the tests of costs: the one that ships, with few entries changed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bqx.ops.cost.pricebook import PriceBook, read_book
from bqx.ops.cost.scenario import Scenario, make_scenario
from bqx.ops.cost.toml import shipped_toml

D = Decimal
BOOK = read_book()


def scenario(
    book: PriceBook = BOOK, *, fixed: bool = False, inputs: Mapping[str, Any] | None = None, **top: Any
) -> Scenario:
    """fixed : every range is shrunk to its likeliest value. inputs : likeliest values, without ranges."""
    data = {**shipped_toml("scenario.toml"), **top}
    data["inputs"] = {n: dict(g) for n, g in data["inputs"].items()}
    data["environments"] = {n: dict(g) for n, g in data["environments"].items()}
    for name, value in (inputs or {}).items():
        data["inputs"][name] = {**data["inputs"][name], "low": D(value), "mode": D(value), "high": D(value)}
    made = make_scenario(data, book, "test")
    if not fixed:
        return made
    return _pinned(made)


def _pinned(made: Scenario) -> Scenario:
    from dataclasses import replace

    def pin(figures: Mapping[str, Any]) -> dict[str, Any]:
        return {n: replace(g, low=g.mode, high=g.mode) for n, g in figures.items()}

    return replace(made, inputs=pin(made.inputs), environments=pin(made.environments))


def discounted(rate: str, prices: list[str], **more: Any) -> dict[str, Any]:
    """A `[[discount]]` that is taken."""
    return {
        "name": f"{rate} off",
        "rate": D(rate),
        "prices": prices,
        "months": 12,
        "taken": True,
        "source": "plan",
        **more,
    }
