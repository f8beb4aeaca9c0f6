"""Which figure moves the total most: each at its least and most, all others at their likeliest."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from bqx.ops.cost.given import Given
from bqx.ops.cost.model import evaluate, figures_of
from bqx.ops.cost.money import cents, quantity
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Swing:
    """low, high : the month's total with the figure at its least and most."""

    figure: Given
    low: Decimal
    high: Decimal

    @property
    def width(self) -> Decimal:
        return abs(self.high - self.low)

    def as_dict(self) -> dict[str, Any]:
        return {"figure": self.figure.name, **self.figure.as_dict(), "total_low": str(self.low),
                "total_high": str(self.high)}  # fmt: skip


def tornado(scenario: Scenario, book: PriceBook) -> list[Swing]:
    """Of all figures with a range, widest first."""
    figures = figures_of(scenario, book)
    moved = [g for g in figures.values() if not g.fixed]
    x = {name: np.full(2 * len(moved), float(g.mode)) for name, g in figures.items()}
    for k, g in enumerate(moved):
        x[g.name][2 * k], x[g.name][2 * k + 1] = float(g.low), float(g.high)
    totals = evaluate(scenario, x).total if moved else np.empty(0)
    out = [
        Swing(g, cents(quantity(totals[2 * k])), cents(quantity(totals[2 * k + 1]))) for k, g in enumerate(moved)
    ]  # fmt: skip
    return sorted(out, key=lambda s: (-s.width, s.figure.name))
