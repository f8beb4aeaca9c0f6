"""An estimate: lines of whole cents that add up, with where every figure comes from, and the range of the total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.ops.cost.discount import Discount
from bqx.ops.cost.draws import drawn, likeliest
from bqx.ops.cost.given import Given
from bqx.ops.cost.model import Amounts, evaluate, figures_of, rules_of
from bqx.ops.cost.money import cents, product, quantity, total
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.rule import Rule
from bqx.ops.cost.scenario import Scenario

F8 = NDArray[np.float64]
DRAWS = 2000


@dataclass(frozen=True)
class Line:
    """An amount of a month in whole cents. price : key of the book, empty for a line that is a share of others.
    figures : all that it rests on. quantity x unit_price, rounded to the cent, is the amount of a line with a price."""

    id: str
    group: str
    component: str
    what: str
    amount: Decimal
    how: str
    price: str = ""
    quantity: Decimal | None = None
    unit: str = ""
    unit_price: Decimal | None = None
    figures: tuple[Given, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "group": self.group, "component": self.component, "what": self.what,
            "amount": str(self.amount), "how": self.how, "price": self.price or None,
            "quantity": None if self.quantity is None else str(self.quantity), "unit": self.unit,
            "unit_price": None if self.unit_price is None else str(self.unit_price),
            "figures": {g.name: g.as_dict() for g in self.figures},
        }  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """p10, p50, p90 : of the month's total over `draws` draws, which are `totals`. requests : of the likeliest month.
    amounts : the likeliest month before it is rounded to cents."""

    scenario: Scenario
    book: PriceBook
    lines: tuple[Line, ...]
    p10: Decimal
    p50: Decimal
    p90: Decimal
    draws: int
    seed: int
    requests: Decimal
    amounts: Amounts
    totals: F8

    @property
    def total(self) -> Decimal:
        """Of the likeliest month: the sum of the lines."""
        return total(line.amount for line in self.lines)

    @property
    def annual(self) -> Decimal:
        return 12 * self.total

    @property
    def per_thousand(self) -> Decimal | None:
        """Per 1,000 answers of one pair; None without requests."""
        return cents(1000 * self.total / self.requests) if self.requests else None

    @property
    def per_pair(self) -> Decimal:
        return cents(self.total / self.scenario.inputs["pairs"].mode)

    def groups(self) -> dict[str, Decimal]:
        """Sums by group; they add up to the total."""
        out: dict[str, Decimal] = {}
        for line in self.lines:
            out[line.group] = out.get(line.group, Decimal("0.00")) + line.amount
        return out

    def as_dict(self) -> dict[str, Any]:
        thousand = self.per_thousand
        return {
            "scenario": self.scenario.name, "serving": self.scenario.serving, "currency": self.book.currency,
            "prices": {"name": self.book.name, "note": self.book.note, "oldest": self.book.oldest.isoformat()},
            "total": str(self.total), "annual": str(self.annual), "budget": str(self.scenario.budget),
            "p10": str(self.p10), "p50": str(self.p50), "p90": str(self.p90), "draws": self.draws, "seed": self.seed,
            "requests": str(self.requests), "per_thousand": None if thousand is None else str(thousand),
            "per_pair": str(self.per_pair), "groups": {k: str(v) for k, v in self.groups().items()},
            "lines": [line.as_dict() for line in self.lines],
        }  # fmt: skip


def estimate(scenario: Scenario, book: PriceBook, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The likeliest month line by line, and quantiles of the total over draws of every figure in its range."""
    figures = figures_of(scenario, book)
    middle = evaluate(scenario, likeliest(figures.values()))
    lines = tuple(make_lines(scenario, book, middle))
    totals = evaluate(scenario, drawn(figures.values(), seed, draws)).total
    p10, p50, p90 = (cents(quantity(q)) for q in np.quantile(totals, (0.1, 0.5, 0.9)))
    made = Estimate(scenario, book, lines, p10, p50, p90, draws, seed, quantity(middle.requests[0]), middle,
                    totals)  # fmt: skip
    if abs(float(made.total) - float(middle.total[0])) > 0.01 * len(lines):
        raise CheckError(
            f"lines in cents come to {made.total}, the model says {middle.total[0]:.4f}", where=scenario.name
        )
    return made


def make_lines(scenario: Scenario, book: PriceBook, middle: Amounts) -> list[Line]:
    """In cents: priced lines, their discounts, unused commitments, environments, and shares of all of these."""
    rules = rules_of(scenario)
    out = [_priced(rule, scenario, book, middle) for rule in rules]
    priced = list(out)
    for d in scenario.taken:
        out += _discounts(d, priced, scenario)
    for name, share in scenario.environments.items():
        for group in dict.fromkeys(r.group for r in rules):
            base = total(line.amount for line in priced if line.group == group)
            out.append(
                Line(
                    f"{name}:{group}",
                    "environments",
                    "environments",
                    f"{name}: {group}",
                    cents(base * share.mode),
                    f"{share.mode} x {group} at list prices",
                    figures=(share,),
                )
            )
    for name in ("support", "contingency"):
        out.append(_share(name, scenario, total(line.amount for line in out if line.component not in ("support",))))
    out.append(_share("tax", scenario, total(line.amount for line in out)))
    return out  # fmt: skip


def _priced(rule: Rule, scenario: Scenario, book: PriceBook, middle: Amounts) -> Line:
    price = book[rule.price]
    units = quantity(middle.quantities[rule.id][0])
    figures = (*(scenario.inputs[n] for n in dict.fromkeys(rule.inputs)), price.given)
    return Line(rule.id, rule.group, rule.component, rule.what, product(units, price.given.mode), rule.how, rule.price,
                units, price.unit, price.given.mode, figures)  # fmt: skip


def _discounts(d: Discount, priced: Sequence[Line], scenario: Scenario) -> list[Line]:
    within = [line for line in priced if d.covers(line.price)]
    out = [
        Line(f"{d.name}:{line.id}", line.group, line.component, f"{d.name}: {line.what}", -cents(d.rate * line.amount),
             f"{100 * d.rate:.0f} % of {line.id}; {d.source}", line.price)
        for line in within
    ]  # fmt: skip
    spent = total(line.amount for line in (*within, *out))
    promised = cents(d.commitment * scenario.inputs["hours"].mode)
    if promised > spent:
        out.append(Line(f"{d.name}:unused", "discounts", "endpoint", f"{d.name}: promised and not used",
                        promised - spent, f"{d.commitment} an hour x hours - {spent} used"))  # fmt: skip
    return out


def _share(name: str, scenario: Scenario, base: Decimal) -> Line:
    given = scenario.inputs[name]
    return Line(name, "shares", name, name, cents(base * given.mode), f"{given.mode} x {base}", figures=(given,))
