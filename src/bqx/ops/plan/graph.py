"""Dependencies: order, cycles with their path, and what hangs on what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bqx.base.errors import PlanError
from bqx.ops.plan.model import Stage


def sort(stages: Mapping[str, Stage], where: str = "plan") -> tuple[str, ...]:
    """Ids so that each comes after all it depends on, as listed otherwise; PlanError names a cycle's path."""
    done: dict[str, None] = {}
    path: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in path:
            cycle = [*path[path.index(name) :], name]
            raise PlanError(
                f"the dependencies go in a circle: {' -> '.join(cycle)}", where=where, fix="take one of them out"
            )
        path.append(name)
        for other in stages[name].before:
            if other not in stages:
                raise PlanError(f"unknown stage: {' -> '.join([*path, other])}", where=where)
            visit(other)
        done[path.pop()] = None

    for name in stages:
        visit(name)
    return tuple(done)


def dependants(stages: Mapping[str, Stage], roots: Iterable[str]) -> tuple[str, ...]:
    """`roots` and all that they gate, directly or not, as listed."""
    found = set(roots)
    grown = True
    while grown:
        more = {name for name, stage in stages.items() if name not in found and found & set(stage.after)}
        found |= more
        grown = bool(more)
    return tuple(name for name in stages if name in found)
