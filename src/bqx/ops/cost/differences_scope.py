"""K10 to K13: what a plan requires and does not cost, leaves out, or compares with something of another kind."""

from __future__ import annotations

from decimal import Decimal

from bqx.ops.cost.components import COMPONENTS
from bqx.ops.cost.differences_sums import agrees
from bqx.ops.cost.money import cents
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.reference import Reference

Found = tuple[str, str] | None
DOUBLE = "savings are counted twice"
JOBS = frozenset({"selection"})
"""Components that the plan's own tasks run and that K10 asks for; K11 asks for the rest."""


def unscheduled(r: Reference, _: PriceBook) -> Found:
    """K10: what is required is what is costed, and each job of the plan has a line."""
    printed, found = [], []
    for each in r.schedules:
        required, costed = Decimal(each["required"]), Decimal(each["costed"])
        if required > costed:
            more = r.line(each["line"]).exact * (required / costed - 1)
            printed.append(f"{each['what']}: {costed}")
            found.append(f"{required} required, {cents(more)} more")
    covered = {c for line in r.lines for c in line.covers}
    found += [f"no line for {COMPONENTS[c]}" for c in sorted(JOBS - covered)]
    return ("; ".join(printed) or "nothing", "; ".join(found)) if found else None


def left_out(r: Reference, _: PriceBook) -> Found:
    """K11: every component that our own estimate asks about is covered by a line."""
    covered = {c for line in r.lines for c in line.covers}
    absent = [words for name, words in COMPONENTS.items() if name not in covered | JOBS | {"function-time"}]
    if not absent:
        return None
    return f"{len(covered)} components", f"{len(absent)} are left out: {', '.join(absent)}"


def totals_of_a_version(r: Reference, _: PriceBook) -> Found:
    """K12, first half: a version has one total."""
    printed, found = [], []
    for each in r.versions:
        spans = [tuple(Decimal(x) for x in span) for span in each["totals"].values()]
        distinct = sorted(set(spans))
        if len(distinct) > 1:
            shown = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in distinct)
            printed.append(f"{each['name']}: {shown}")
            low, high = min(a for a, _ in distinct), max(b for _, b in distinct)
            found.append(f"{len(distinct)} totals of one version, the largest {high / low:.2f} times the least; "
                         f"its lines add up to {each['baseline']}")  # fmt: skip
    return ("; ".join(printed), "; ".join(found)) if printed else None


def double_saving(r: Reference, _: PriceBook) -> Found:
    """K12, second half: a total that is below its lines holds savings already; less of them may not be taken again."""
    said, exact = r.printed("headline"), r.sum(r.instances("headline"))
    again = r.printed("optimised")
    if said >= r.sum() or agrees(said, r.sum()) or agrees(said, exact) or again >= said:
        return None
    return (
        f"{said}, {again} when optimised",
        f"{DOUBLE}: {said} is {cents(r.sum() - said)} below its own lines, "
        f"and {cents(said - again)} are taken from it once more",
    )


def growth(r: Reference, _: PriceBook) -> Found:
    """K13: growth compares totals of one kind."""
    g = r.growth
    a, b = Decimal(g["from"]["amount"]), Decimal(g["to"]["amount"])
    said = Decimal(g["printed"])
    if g["from"]["kind"] == g["to"]["kind"] and agrees(said, 100 * (b / a - 1)):
        return None
    like_from, like_to = Decimal(g["like"]["from"]), r.printed(g["like"]["to"])
    return (
        f"{said} % more than {g['from']['version']}",
        f"{a} is {g['from']['version']} {g['from']['kind']}, {b} is {g['to']['version']} {g['to']['kind']}; like for "
        f"like {like_to} against {like_from}, {100 * (like_to / like_from - 1):+.0f} %",
    )
