"""K1 to K6: sums. All compare a printed total with the plan's lines added again; half a unit of the last printed place
is rounding, more is a difference."""

from __future__ import annotations

from decimal import Decimal

from bqx.ops.cost.money import cents
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.reference import Reference

HALF = Decimal("0.5")
Found = tuple[str, str] | None


def rounding(printed: Decimal) -> Decimal:
    """Half a unit of the last place of a printed figure.

    >>> rounding(Decimal("475")), rounding(Decimal("512.38"))
    (Decimal('0.5'), Decimal('0.005'))
    """
    return HALF * Decimal(1).scaleb(min(int(printed.as_tuple().exponent), 0))


def agrees(printed: Decimal, exact: Decimal) -> bool:
    """Whether `printed` is `exact`, rounded as it is printed; one cent more, for a sum of lines that were rounded."""
    return abs(printed - exact) <= max(rounding(printed), Decimal("0.01"))


def headline(r: Reference, _: PriceBook) -> Found:
    """K1: the headline is the baseline, and the baseline meets the target."""
    said, exact = r.printed("headline"), r.sum(r.instances("headline"))
    baseline = r.sum()
    words = []
    if not agrees(said, exact) and not agrees(said, baseline):
        words.append(f"the table prints {r.printed('baseline')} and its lines come to {cents(baseline)}: "
                     f"{cents(baseline - said)} more than the headline")  # fmt: skip
    if baseline > r.target:
        words.append(f"the baseline itself misses the target of {r.target} by {cents(baseline - r.target)}")
    return (f"headline {said}", "; ".join(words)) if words else None


def group_sums(r: Reference, _: PriceBook) -> Found:
    """K2: each printed group is the sum of its lines, and the baseline that of all."""
    printed, found = [], []
    for name, group in r.groups.items():
        said, exact = Decimal(group["printed"]), r.group_sum(name)
        if not agrees(said, exact):
            printed.append(f"{name} {said}")
            found.append(f"{name} {cents(exact)}")
    if printed and not agrees(r.printed("baseline"), r.sum()):
        found.append(f"so the baseline is {cents(r.sum())}")
    return (", ".join(printed), ", ".join(found)) if printed else None


def auto_scaled(r: Reference, _: PriceBook) -> Found:
    """K3: the auto-scaled total is the printed baseline and the further instances."""
    said, more = r.printed("auto-scaled"), r.instances("auto-scaled") - 1
    extra = more * r.line(r.endpoint).exact
    exact = r.printed("baseline") + extra
    if agrees(said, exact):
        return None
    return (
        f"auto-scaled {said}",
        f"{r.printed('baseline')} + {cents(extra)} = {cents(exact)}, {cents(exact - said)} more",
    )


def scaled_average(r: Reference, _: PriceBook) -> Found:
    """K4: the headline is what its average of instances costs, on demand or discounted."""
    said, n = r.printed("headline"), r.instances("headline")
    plain, less = r.sum(n), r.sum(n, rate=r.rate)
    if n == 1 or agrees(said, plain) or agrees(said, less):
        return None
    off = f"{100 * r.rate:.0f} % off computing"
    return f"{n} instances on average: {said}", f"{cents(plain)} on demand, {cents(less)} with {off}"


def peak(r: Reference, _: PriceBook) -> Found:
    """K5: the peak is what its instances cost, on demand or discounted."""
    said, n = r.printed("peak"), r.instances("peak")
    plain, less = r.sum(n), r.sum(n, rate=r.rate)
    if agrees(said, plain) or agrees(said, less):
        return None
    return f"peak of {n} instances {said}", f"{cents(plain)} on demand, {cents(less)} with the discount"


def everything_discounted(r: Reference, _: PriceBook) -> Found:
    """K6: no printed total is what comes out when the discount touches lines it may not."""
    within, all_of_it = r.sum(rate=r.rate), r.printed("baseline") * (1 - r.rate)
    claims = [Decimal(c) for c in r.totals["optimised"]["claims"]]
    wrong = [c for c in claims if abs(c - all_of_it) <= HALF and abs(c - within) > HALF]
    if not wrong:
        return None
    said = ", ".join(str(c) for c in wrong)
    near = min(claims, key=lambda c: abs(c - within))
    return (
        f"optimised {said}",
        f"{100 * r.rate:.0f} % off every line is {cents(all_of_it)}; off {r.scope} alone, which is all it covers, "
        f"{cents(within)} (the plan's {near} is nearest)",
    )
