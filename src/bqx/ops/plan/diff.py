"""Two plans beside each other: headline figures, and stages by id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bqx.ops.plan.model import Plan, Stage


@dataclass(frozen=True, slots=True)
class Change:
    """A headline figure of two plans; None where one of them has none."""

    name: str
    old: float | None
    new: float | None
    unit: str
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """new / old."""
        return self.new / self.old if self.new is not None and self.old else None


@dataclass(frozen=True)
class PlanDiff:
    """changed : id -> field -> (old, new)."""

    old: str
    new: str
    aspects: tuple[Change, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: dict[str, dict[str, tuple[Any, Any]]]

    def as_dict(self) -> dict[str, Any]:
        aspects = [
            {"name": c.name, "old": c.old, "new": c.new, "unit": c.unit, "ratio": c.ratio, "notes": list(c.notes)}
            for c in self.aspects
        ]
        return {**self.__dict__, "aspects": aspects, "added": list(self.added), "removed": list(self.removed)}


FIELDS = ("name", "kind", "domain", "hours", "features", "tables", "after", "result")


def diff(old: Plan, new: Plan) -> PlanDiff:
    """What `new` says otherwise than `old`; the same id may mean another thing, which its name shows."""
    aspects = []
    for name in dict.fromkeys((*old.aspects, *new.aspects)):
        was, now = old.aspects.get(name), new.aspects.get(name)
        notes = tuple(f"{plan.version}: {a.note}" for plan, a in ((old, was), (new, now)) if a is not None and a.note)
        unit = (now or was).unit  # type: ignore[union-attr]  # one of them is there
        aspects.append(Change(name, was.value if was else None, now.value if now else None, unit, notes))
    changed = {}
    for name in old.stages:
        if name in new.stages and (fields := _fields(old.stages[name], new.stages[name])):
            changed[name] = fields
    return PlanDiff(
        old.version,
        new.version,
        tuple(aspects),
        tuple(name for name in new.stages if name not in old.stages),
        tuple(name for name in old.stages if name not in new.stages),
        changed,
    )


def _fields(was: Stage, now: Stage) -> dict[str, tuple[Any, Any]]:
    return {key: (getattr(was, key), getattr(now, key)) for key in FIELDS if getattr(was, key) != getattr(now, key)}
