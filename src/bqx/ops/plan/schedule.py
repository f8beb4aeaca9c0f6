"""When each stage can begin, what can wait, and how wide the work can be: the critical path method."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bqx.ops.plan.model import Plan


@dataclass(frozen=True, slots=True)
class Slot:
    """Hours from now. slack : how long the stage can be late without anything else being later."""

    id: str
    hours: float
    start: float
    finish: float
    latest: float
    slack: float
    critical: bool


@dataclass(frozen=True)
class Schedule:
    """slots : in order of beginning. path : one chain of stages that takes the longest. width : most stages at once."""

    slots: Mapping[str, Slot]
    path: tuple[str, ...]
    hours: float
    sequential: float
    width: int

    def as_dict(self) -> dict[str, object]:
        slots = [{key: getattr(slot, key) for key in Slot.__slots__} for slot in self.slots.values()]
        return {
            "critical_path": list(self.path),
            "hours": self.hours,
            "sequential_hours": self.sequential,
            "width": self.width,
            "stages": slots,
        }


def schedule(plan: Plan, only: Collection[str] | None = None, hours: Mapping[str, float] | None = None) -> Schedule:
    """Of the stages in `only` (all unless given); what is not among them counts as done.

    hours : durations that replace the plan's; a stage without one takes none.
    """
    names = [name for name in plan.order if only is None or name in only]
    took = {name: (hours or {}).get(name, plan.stages[name].hours or 0.0) for name in names}
    before = {name: [other for other in plan.stages[name].before if other in took] for name in names}
    start: dict[str, float] = {}
    for name in names:
        start[name] = max((start[other] + took[other] for other in before[name]), default=0.0)
    total = max((start[name] + took[name] for name in names), default=0.0)
    latest: dict[str, float] = {}
    for name in reversed(names):
        nexts = [other for other in names if name in before[other]]
        latest[name] = min((latest[other] - took[other] for other in nexts), default=total)
    slots = {}
    for name in sorted(names, key=lambda n: (start[n], names.index(n))):
        finish = start[name] + took[name]
        slack = round(latest[name] - finish, 9)
        slots[name] = Slot(name, took[name], start[name], finish, latest[name], slack, slack == 0.0)
    return Schedule(slots, _path(slots, before, total), total, sum(took.values()), _width(slots))


def _path(slots: Mapping[str, Slot], before: Mapping[str, list[str]], total: float) -> tuple[str, ...]:
    ends = [name for name, slot in slots.items() if slot.critical and slot.finish == total]
    out = ends[-1:]
    while out and (
        firsts := [n for n in before[out[0]] if slots[n].critical and slots[n].finish == slots[out[0]].start]
    ):
        out.insert(0, firsts[0])
    return tuple(out)


def _width(slots: Mapping[str, Slot]) -> int:
    """Most stages that run at the same time when each begins as early as it can."""
    points = [slot.start for slot in slots.values() if slot.hours > 0]
    return max((sum(s.start <= at < s.finish for s in slots.values()) for at in points), default=0)
