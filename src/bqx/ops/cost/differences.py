"""K1 to K13: where a plan's printed costs are not what its own figures come to. Each rule computes; none is a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bqx.ops.cost.differences_scope import double_saving, growth, left_out, totals_of_a_version, unscheduled
from bqx.ops.cost.differences_sums import auto_scaled, everything_discounted, group_sums, headline, peak, scaled_average
from bqx.ops.cost.differences_units import function_time, two_prices, units
from bqx.ops.cost.pricebook import PriceBook
from bqx.ops.cost.reference import Reference

Rule = Callable[[Reference, PriceBook], tuple[str, str] | None]


def _versions(reference: Reference, book: PriceBook) -> tuple[str, str] | None:
    parts = [f for f in (totals_of_a_version(reference, book), double_saving(reference, book)) if f]
    if not parts:
        return None
    printed, found = zip(*parts, strict=True)
    return "; ".join(printed), "; ".join(found)


RULES: dict[str, tuple[str, Rule]] = {
    "K1": ("the headline against the table under it, and the target", headline),
    "K2": ("printed sums of groups", group_sums),
    "K3": ("the auto-scaled total", auto_scaled),
    "K4": ("the average that the headline is said to be", scaled_average),
    "K5": ("the peak", peak),
    "K6": ("what a discount on computing may touch", everything_discounted),
    "K7": ("unit prices of requests and notices", units),
    "K8": ("prices of one instance by what it does", two_prices),
    "K9": ("functions priced without their time", function_time),
    "K10": ("what is required against what is costed", unscheduled),
    "K11": ("components that are left out", left_out),
    "K12": ("totals of one version, and savings counted twice", _versions),
    "K13": ("growth between totals of different kinds", growth),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """printed : what the plan says. found : what its figures come to, and by how much that differs."""

    id: str
    about: str
    printed: str
    found: str

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, "about": self.about, "printed": self.printed, "found": self.found}


def differences(reference: Reference, book: PriceBook) -> list[Difference]:
    """Those rules of RULES that find something, in order. Empty for a plan whose figures hold."""
    out = []
    for name, (about, rule) in RULES.items():
        if found := rule(reference, book):
            out.append(Difference(name, about, *found))
    return out
