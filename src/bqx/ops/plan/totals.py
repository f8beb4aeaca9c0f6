"""The seed's printed totals beside what its lines and what our catalogue add up to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from bqx.base.errors import PlanError
from bqx.features.catalogue import count, own_datasets
from bqx.ops.plan.columns import columns_in, homes_of, partitions_in
from bqx.ops.plan.model import Plan, PrintedTotal

LAGS = 4


@dataclass(frozen=True, slots=True)
class Total:
    """printed, the sum of the printed lines, and ours (None where the catalogue says nothing of it)."""

    what: str
    printed: float
    lines: float
    ours: float | None
    why: str

    @property
    def agrees(self) -> bool:
        """Whether the printed figure is that of its lines and, where there is one, of the catalogue."""
        return math.isclose(self.printed, self.lines) and (self.ours is None or math.isclose(self.printed, self.ours))


def totals(plan: Plan) -> list[Total]:
    """All of a plan; PlanError where a difference has no reason, or a reason no difference."""
    out = []
    for item in plan.totals:
        found = Total(item.what, item.printed, _lines(plan, item), _ours(plan, item), item.why)
        if found.agrees == bool(found.why):
            said = "agrees but has a reason" if found.why else "differs without a reason"
            raise PlanError(
                f"{item.what}: printed {item.printed:,}, lines {found.lines:,}, ours {found.ours} {said}",
                where=f"plan {plan.version}, totals",
            )
        out.append(found)
    return out


def _lines(plan: Plan, item: PrintedTotal) -> float:
    rule = item.lines
    if "sum" in rule:
        return math.fsum(rule["sum"])
    if "stages" in rule:
        field = rule["field"]
        found = [stage for name, stage in plan.stages.items() if _matches(name, rule["stages"])]
        return math.fsum(1 if field == "stages" else getattr(stage, field) or 0 for stage in found)
    if "domain" in rule:
        return math.fsum(
            getattr(line, rule["field"]) for line in plan.lines if fnmatchcase(line.domain, rule["domain"])
        )
    raise PlanError(f"{item.what}: no rule for its lines", where=f"plan {plan.version}, totals")


def _ours(plan: Plan, item: PrintedTotal) -> float | None:
    rule: Mapping[str, Any] = item.lines if item.ours is None else item.ours
    if "count" in rule:
        sizes = count(list(own_datasets().values()))
        known = {
            "built": sizes["counted"] - sizes["inherited"],
            "candidates": sizes["counted"] + LAGS * sizes["laggable"],
        }
        return known[rule["count"]]
    if "tasks" in rule:
        found = [s for name, s in plan.stages.items() if s.kind == "task" and _matches(name, rule["tasks"])]
        return math.fsum(1 if rule["field"] == "stages" else getattr(s, rule["field"]) or 0 for s in found)
    if rule.get("field") not in ("features", "tables"):
        return None
    if "stages" in rule:
        homes = [home for name in plan.stages if _matches(name, rule["stages"]) for home in homes_of(name)]
    elif "domain" in rule:
        names = [n for line in plan.lines if fnmatchcase(line.domain, rule["domain"]) for n in line.datasets]
        homes = [own_datasets()[name] for name in names]
    else:
        return None
    return columns_in(homes) if rule["field"] == "features" else partitions_in(plan, homes)


def _matches(name: str, patterns: str | list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in ([patterns] if isinstance(patterns, str) else patterns))
