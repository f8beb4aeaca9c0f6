"""Whether a promise of spending pays: how much to promise, what it saves, and how long it must be used."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from bqx.ops.cost.discount import Discount
from bqx.ops.cost.estimate import Estimate
from bqx.ops.cost.model import rules_of
from bqx.ops.cost.money import cents, quantity
from bqx.ops.cost.rule import MONTH_SHARE


@dataclass(frozen=True, slots=True)
class Commitment:
    """best : currency an hour, at the discounted price, that saves most. saving : a month with it. used : share of the
    promised hour's worth that must be used. months : of those promised that it must run. peak_saving : a month when the
    busiest minute is promised, negative when that loses."""

    name: str
    rate: Decimal
    best: Decimal
    saving: Decimal
    used: Decimal
    months: Decimal
    promised_months: int
    peak_saving: Decimal

    def as_dict(self) -> dict[str, Any]:
        plain = {k: str(getattr(self, k)) for k in ("rate", "best", "saving", "used", "months", "peak_saving")}
        return {"name": self.name, **plain, "promised_months": self.promised_months}


def commitment(discount: Discount, found: Estimate) -> Commitment:
    """For the estimate's own use: the scaling endpoint minute by minute; jobs and monitors, which run now and then, are
    left out, for they leave most hours of a promise unused."""
    rate = float(discount.rate)
    use = _use(discount, found) * (1.0 - rate)
    weeks = float(found.scenario.inputs["hours"].mode) / MONTH_SHARE
    plain = use.sum() / 60 / (1.0 - rate) * weeks

    def saving(promise: float) -> float:
        paid = promise + np.maximum(use - promise, 0.0) / (1.0 - rate)
        return float(plain - paid.sum() / 60 * weeks)

    levels = sorted({0.0, *use.tolist()})
    best = max(levels, key=saving)
    return Commitment(
        discount.name, discount.rate, quantity(best), cents(quantity(saving(best))), 1 - discount.rate,
        cents(discount.months * (1 - discount.rate)), discount.months, cents(quantity(saving(levels[-1]))),
    )  # fmt: skip


def _use(discount: Discount, found: Estimate) -> np.ndarray[Any, Any]:
    """List price an hour by minute of the week of what is in scope and always on."""
    use = np.zeros(7 * 1440)
    for rule in rules_of(found.scenario):
        if rule.group == "serving" and discount.covers(rule.price) and rule.id != "overlap":
            price = float(found.book[rule.price].given.mode)
            if rule.id == "endpoint" and found.amounts.scaled is not None:
                use = use + found.amounts.scaled.minutes * price
            else:
                use = use + float(found.amounts.quantities[rule.id][0]) * price / float(
                    found.scenario.inputs["hours"].mode
                )
    return use
