"""Where a month will end that has begun, and days that cost more than days do."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from bqx.ops.cost.bill import Bill
from bqx.ops.cost.money import cents

LEAST_DAYS = 3
DEVIATIONS, LEAST_SHARE, LEAST_AMOUNT = Decimal(5), Decimal("0.20"), Decimal("1.00")
"""A day is odd that is above the median of its kind by all three: robust deviations, a share of it, an amount."""
MAD = Decimal("1.4826")


@dataclass(frozen=True)
class Projection:
    """total : of the whole month. spent : so far. days : whole days it rests on. odd : days that cost too much, by how
    much."""

    month: str
    spent: Decimal
    total: Decimal
    days: int
    left: int
    odd: dict[date, Decimal]

    def as_dict(self) -> dict[str, Any]:
        return {"month": self.month, "spent": str(self.spent), "projected": str(self.total), "days": self.days,
                "days_left": self.left, "odd_days": {d.isoformat(): str(v) for d, v in self.odd.items()}}  # fmt: skip


def project(bill: Bill, fallback: Decimal, through: date | None = None) -> Projection:
    """Days to come cost what days of their kind (working days, week ends) have cost on average; with fewer than three
    days of a kind, what the estimate says a day costs (`fallback`, of a month). Charges that come once stay.
    """
    last = through or bill.last
    length = monthrange(last.year, last.month)[1]
    days = {last.replace(day=n): Decimal(0) for n in range(1, last.day + 1)} | bill.days()
    kinds: dict[bool, list[Decimal]] = {True: [], False: []}
    for day, cost in days.items():
        kinds[day.weekday() < 5].append(cost)
    means = {k: sum(v, Decimal(0)) / len(v) if len(v) >= LEAST_DAYS else fallback / length for k, v in kinds.items()}
    ahead = [last + timedelta(days=n) for n in range(1, length - last.day + 1)]
    more = sum((means[day.weekday() < 5] for day in ahead), Decimal(0))
    return Projection(bill.month, cents(bill.total), cents(bill.total + more), len(days), len(ahead), odd_days(days))


def odd_days(days: dict[date, Decimal]) -> dict[date, Decimal]:
    """Days above the median of their kind by DEVIATIONS robust deviations, and by more than a fifth and a unit."""
    out: dict[date, Decimal] = {}
    for working in (True, False):
        group = {d: c for d, c in days.items() if (d.weekday() < 5) is working}
        if len(group) < LEAST_DAYS:
            continue
        middle = median(group.values())
        spread = MAD * median(abs(c - middle) for c in group.values())
        limit = middle + max(DEVIATIONS * spread, LEAST_SHARE * middle, LEAST_AMOUNT)
        out |= {d: cents(c - middle) for d, c in group.items() if c > limit}
    return dict(sorted(out.items()))
