"""Does the cost stay within the budget? Of an estimate by its P90, of a bill by where its month will end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from bqx.ops.cost.bill import Bill
from bqx.ops.cost.estimate import Estimate
from bqx.ops.cost.money import show
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.projection import Projection, project
from bqx.ops.cost.scenario import Scenario
from bqx.ops.cost.variance import Variance, compare

MAX_AGE_DAYS = 365
"""Of the oldest price that an estimate uses; above it the estimate is not evidence of today's costs."""


@dataclass(frozen=True)
class Alarm:
    """name : stable, for routing."""

    name: str
    text: str

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "text": self.text}


@dataclass(frozen=True)
class Checked:
    """estimate, bill side : what was looked at. alarms : empty when all is well."""

    estimate: Estimate
    variance: Variance | None
    projection: Projection | None
    alarms: tuple[Alarm, ...]

    @property
    def ok(self) -> bool:
        return not self.alarms

    def as_dict(self) -> dict[str, Any]:
        e = self.estimate
        return {
            "ok": self.ok, "budget": str(e.scenario.budget), "total": str(e.total), "p90": str(e.p90),
            "prices": e.book.name, "oldest_price": oldest_price(e).isoformat(),
            "variance": None if self.variance is None else self.variance.as_dict(),
            "projection": None if self.projection is None else self.projection.as_dict(),
            "alarms": [a.as_dict() for a in self.alarms],
        }  # fmt: skip


def check_estimate(found: Estimate) -> Checked:
    """Alarm `budget` when the P90 passes the budget."""
    return Checked(found, None, None, tuple(_over_budget(found)))


def check_bill(
    bill: Bill, scenario: Scenario, book: PriceBook, found: Estimate, through: date | None = None
) -> Checked:
    """With the bill also: `projection` past the budget, `variance` that is not explained, `odd-day`."""
    variance = compare(bill, scenario, book, through=through)
    ahead = project(bill, variance.estimate.total, through)
    alarms = _over_budget(found)
    if ahead.total > scenario.budget:
        alarms.append(Alarm("projection", f"{ahead.month} will end at {show(ahead.total, book.currency)}, "
                                          f"the budget is {show(scenario.budget, book.currency)}"))  # fmt: skip
    if not variance.ok:
        rows = ", ".join(f"{r.key} ({r.actual - r.expected:+}: {r.why})" for r in variance.unexplained)
        alarms.append(
            Alarm("variance", f"{variance.actual} billed, {variance.expected} expected; not explained: {rows}")
        )
    alarms += [Alarm("odd-day", f"{day} cost {more} more than days like it") for day, more in ahead.odd.items()]
    return Checked(found, variance, ahead, tuple(alarms))


def _over_budget(found: Estimate) -> list[Alarm]:
    budget, currency = found.scenario.budget, found.book.currency
    if found.p90 <= budget:
        return []
    return [Alarm("budget", f"P90 is {show(found.p90, currency)} a month, the budget {show(budget, currency)}; "
                            f"likeliest {show(found.total, currency)}")]  # fmt: skip


def oldest_price(found: Estimate) -> date:
    """Date of the oldest price that a line uses."""
    return min(found.book[line.price].given.dated for line in found.lines if line.price)


def evidence(found: Estimate, today: date, max_age_days: int = MAX_AGE_DAYS) -> dict[str, Any]:
    """What GATE8 records of costs: good when the P90 is within the budget at prices that are not too old."""
    oldest = oldest_price(found)
    age = (today - oldest).days
    budget: Decimal = found.scenario.budget
    return {
        "ok": found.p90 <= budget and age <= max_age_days,
        "p90": str(found.p90), "budget": str(budget), "total": str(found.total), "serving": found.scenario.serving,
        "prices": found.book.name, "oldest_price": oldest.isoformat(), "price_age_days": age,
        "max_age_days": max_age_days, "draws": found.draws, "seed": found.seed,
    }  # fmt: skip
