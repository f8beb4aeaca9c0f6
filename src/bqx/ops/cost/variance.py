"""A bill beside the estimate of its month: line by line, and why they differ."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from bqx.base.errors import BillError
from bqx.ops.cost.bill import Bill, Charge
from bqx.ops.cost.estimate import Estimate, estimate
from bqx.ops.cost.money import cents, total
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.scenario import Scenario

Verdict = Literal["within", "explained", "unexplained"]
WITHIN = Decimal("0.10")
SMALL = Decimal("1.00")
"""A line that is this near needs no explanation, whatever its share."""
OTHER, SHARES = "not in the estimate", ("support", "tax")


@dataclass(frozen=True, slots=True)
class Row:
    """Of one price. by_quantity, by_price : add up to actual - expected; None when the bill does not say how much was
    used."""

    key: str
    expected: Decimal
    actual: Decimal
    by_quantity: Decimal | None
    by_price: Decimal | None
    verdict: Verdict
    why: str

    def as_dict(self) -> dict[str, Any]:
        money = {k: None if getattr(self, k) is None else str(getattr(self, k))
                 for k in ("expected", "actual", "by_quantity", "by_price")}  # fmt: skip
        return {"key": self.key, **money, "verdict": self.verdict, "why": self.why}


@dataclass(frozen=True)
class Variance:
    """share : of the month that the bill covers; expectations are that share of the estimate's."""

    month: str
    share: Decimal
    rows: tuple[Row, ...]
    estimate: Estimate

    @property
    def expected(self) -> Decimal:
        return total(r.expected for r in self.rows)

    @property
    def actual(self) -> Decimal:
        return total(r.actual for r in self.rows)

    @property
    def within(self) -> bool:
        """Whether the totals are within a tenth of the estimate."""
        return abs(self.actual - self.expected) <= WITHIN * self.expected

    @property
    def unexplained(self) -> list[Row]:
        return [r for r in self.rows if r.verdict == "unexplained"]

    @property
    def ok(self) -> bool:
        """Within a tenth as a whole, or every line that is not has its reason."""
        return self.within or not self.unexplained

    def as_dict(self) -> dict[str, Any]:
        return {"month": self.month, "share_of_month": str(self.share), "expected": str(self.expected),
                "actual": str(self.actual), "within": self.within, "ok": self.ok,
                "rows": [r.as_dict() for r in self.rows]}  # fmt: skip


def for_month(scenario: Scenario, month: str) -> Scenario:
    """The same in a month of so many hours."""
    year, number = (int(x) for x in month.split("-"))
    hours = Decimal(24 * monthrange(year, number)[1])
    given = scenario.inputs["hours"]
    exact = replace(given, low=hours, mode=hours, high=hours, unit="h", source=f"calendar of {month}",
                    dated=date(year, number, 1))  # fmt: skip
    return replace(scenario, inputs={**scenario.inputs, "hours": exact})


def compare(bill: Bill, scenario: Scenario, book: PriceBook, *, through: date | None = None) -> Variance:
    """The estimate of the bill's month, up to `through` (else the bill's last day), against the bill.

    BillError for another currency than the book's, or a bill with charges after `through`.
    """
    if bill.currency and bill.currency != book.currency:
        raise BillError(f"the bill is in {bill.currency}, the prices in {book.currency}", where=bill.where)
    last = through or bill.last
    if last < bill.last or f"{last:%Y-%m}" != bill.month:
        raise BillError(f"{last} does not end what the bill holds, up to {bill.last}", where=bill.where)
    share = Decimal(last.day) / monthrange(last.year, last.month)[1]
    found = estimate(for_month(scenario, bill.month), book, draws=100)  # its range is not looked at
    expected = _expected(found)
    actual: dict[str, list[Charge]] = {}
    for charge in bill.charges:
        actual.setdefault(_key(charge, book), []).append(charge)
    names = [*expected, *sorted(set(actual) - set(expected))]
    rows = tuple(_row(n, expected.get(n), actual.get(n, []), share, book) for n in names)
    return Variance(bill.month, share, tuple(r for r in rows if r.expected or r.actual), found)


def _key(charge: Charge, book: PriceBook) -> str:
    if charge.kind.lower() == "tax":
        return "tax"
    price = book.find(charge.service, charge.usage_type)
    if price is not None:
        return price.key
    return "support" if "support" in charge.service.lower() else OTHER


def _expected(found: Estimate) -> dict[str, tuple[Decimal, Decimal | None]]:
    """Amount and quantity a month by price: lines, what other environments repeat of them, and discounts."""
    repeat = 1 + sum((g.mode for g in found.scenario.environments.values()), Decimal(0))
    amounts: dict[str, Decimal] = {}
    quantities: dict[str, Decimal] = {}
    for line in found.lines:
        if not line.price:
            continue
        more = repeat if line.quantity is not None else Decimal(1)
        amounts[line.price] = amounts.get(line.price, Decimal(0)) + line.amount * more
        quantities[line.price] = quantities.get(line.price, Decimal(0)) + (line.quantity or Decimal(0)) * more
    out: dict[str, tuple[Decimal, Decimal | None]] = {k: (amounts[k], quantities[k]) for k in amounts}
    for line in found.lines:
        if line.id in SHARES:
            out[line.id] = (line.amount, None)
        elif line.id == "contingency" or line.group == "discounts":
            before, _ = out.get(OTHER, (Decimal(0), None))
            out[OTHER] = (before + line.amount, None)
    return out


def _row(
    key: str, want: tuple[Decimal, Decimal | None] | None, charges: list[Charge], share: Decimal, book: PriceBook
) -> Row:
    amount, units = want or (Decimal(0), None)
    expected, actual = cents(amount * share), cents(sum((c.cost for c in charges), Decimal(0)))
    gap = actual - expected
    near = abs(gap) <= max(WITHIN * abs(expected), SMALL)
    usages = [c.usage for c in charges]
    if key not in book.prices or None in usages:
        kinds = sorted({f"{c.service} {c.usage_type}" for c in charges})
        why = _unknown(key, kinds, gap, None in usages)
        spare = key == OTHER and actual <= expected
        return Row(key, expected, actual, None, None, "within" if near or spare else "unexplained", why)
    used = sum((u for u in usages if u is not None), Decimal(0)) / book[key].scale
    planned = (units or Decimal(0)) * share
    rate = amount / units if units else book[key].given.mode  # after discounts
    by_quantity = cents((used - planned) * rate)
    by_price = gap - by_quantity
    return Row(key, expected, actual, by_quantity, by_price, "within" if near else "explained",
               _reason(book, key, planned, used, rate, actual, by_quantity, by_price))  # fmt: skip


def _unknown(key: str, kinds: list[str], gap: Decimal, silent: bool) -> str:
    if key == OTHER:
        held = ", ".join(kinds[:8]) + (f" and {len(kinds) - 8} more" if len(kinds) > 8 else "")
        return f"nobody planned: {held}; the contingency pays for it" if kinds else "contingency, not used"
    if silent:
        return f"{gap:+} and the bill does not say how much was used"
    return f"{gap:+}; a share of everything else"


def _reason(
    book: PriceBook, key: str, planned: Decimal, used: Decimal, rate: Decimal, actual: Decimal, by_quantity: Decimal,
    by_price: Decimal,
) -> str:  # fmt: skip
    unit = book[key].unit
    said = f"{used:,.2f} {unit} used, {planned:,.2f} planned ({by_quantity:+})"
    if used and by_price:
        said += f"; {actual / used:.6g} a {unit} paid, {rate:.6g} planned ({by_price:+})"
    return said
