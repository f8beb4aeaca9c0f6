"""K7 to K9: unit prices."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from bqx.ops.cost.differences_sums import agrees, rounding
from bqx.ops.cost.money import cents
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.reference import Reference

Found = tuple[str, str] | None
MEBI = Decimal(1024)


def units(r: Reference, book: PriceBook) -> Found:
    """K7: a line comes to one of the amounts that the book's unit prices give for its quantity."""
    printed, found = [], []
    for line in r.lines:
        if not line.market:
            continue
        quantity = Decimal(line.market["quantity"])
        amounts = {key: quantity * book[key].given.mode for key in line.market["prices"]}
        if not any(agrees(line.printed, exact) for exact in amounts.values()):
            printed.append(f"{line.id} {line.printed}")
            each = ", ".join(f"{amount.normalize():f} as {key}" for key, amount in amounts.items())
            found.append(f"{line.id}: {each}")
    return ("; ".join(printed), "; ".join(found)) if printed else None


def two_prices(r: Reference, _: PriceBook) -> Found:
    """K8: an instance has one price, whatever it does, or each use names its own source."""
    printed, found = [], []
    for each in r.rates:
        uses = {k: Decimal(v) for k, v in each["uses"].items()}
        low_use, high_use = min(uses, key=lambda k: uses[k]), max(uses, key=lambda k: uses[k])
        low, high = uses[low_use], uses[high_use]
        sources: Mapping[str, str] = each.get("sources", {})
        if low == high or all(sources.get(k) for k in uses):
            continue
        least, most = (high - rounding(high)) / (low + rounding(low)), (high + rounding(high)) / (low - rounding(low))
        whole = " (1.5 within the printed digits)" if least <= Decimal("1.5") <= most else ""
        printed.append(f"{each['instance']}: {high} for {high_use}, {low} for {low_use}")
        found.append(f"a ratio of {high / low:.3f}{whole}, without a dated source")
    return ("; ".join(printed), "; ".join(found)) if printed else None


def function_time(r: Reference, book: PriceBook) -> Found:
    """K9: lines of functions pay for GB-seconds too."""
    paid = {c for line in r.lines for c in line.covers}
    asked = [line for line in r.lines if line.function]
    if not asked or "function-time" in paid:
        return None
    printed, found = [], []
    for line in asked:
        f = line.function
        spent = line.quantity * 1_000_000 * Decimal(f["seconds"]) * Decimal(f["megabytes"]) / MEBI
        price = book[f["rate"]].given.mode
        printed.append(f"{line.id} {line.printed} for {line.quantity.normalize():f} M requests")
        found.append(f"{spent:,.0f} GB-s at {price:f} are {cents(spent * price)} more, unpaid")
    return "; ".join(printed), "; ".join(found)
