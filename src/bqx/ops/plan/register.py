"""Risks, lessons, approvals and blockers from YAML: those of the plan, and those a project adds."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from typing import Any, TypeVar

from bqx.base.errors import PlanError
from bqx.ops.plan.fields import Fields, document
from bqx.ops.plan.model import Approval, Blocker, Lesson, Register, Risk

T = TypeVar("T")
LESSONS = ("well", "improve", "practice")
RISK_STATUS = ("open", "mitigated", "accepted", "happened")
SEVERITIES = ("L1", "L2", "L3", "L4")


def register_from(text: str, where: str, stages: Collection[str]) -> Register:
    """The register in a YAML text: `risks`, `lessons`, `approvals`, `blockers`, each a list and each optional."""
    top = Fields(document(text, where), where)

    def rows(key: str, make: Callable[[Fields], T]) -> tuple[T, ...]:
        found = [make(f) for f in top.list(key)] if key in top else []
        names = [item.id for item in found]  # type: ignore[attr-defined]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise PlanError(f"{key}: {twice[0]!r} is there twice", where=where)
        return tuple(found)

    out = Register(
        rows("risks", _risk),
        rows("lessons", lambda f: _lesson(f, stages)),
        rows("approvals", _approval),
        rows("blockers", lambda f: blocker(f, stages)),
    )
    top.done()
    if not (out.risks or out.lessons or out.approvals or out.blockers):
        raise PlanError("nothing is in the file", where=where, fix="give risks, lessons, approvals or blockers")
    return out


def blocker(f: Fields, stages: Collection[str]) -> Blocker:
    """A blocker whose stages are known ids or globs, and whose exit is a machine check."""
    from bqx.ops.plan.criteria import parse_criterion
    from bqx.ops.plan.read import expand

    found = Blocker(
        id=f.text("id"),
        severity=_one_of(f, "severity", SEVERITIES),
        stages=expand(f.texts("stages"), list(stages), f.where),
        reason=f.text("reason"),
        owner=f.text("owner"),
        opened=f.get("opened", date),
        exit=f.text("exit"),
    )
    parse_criterion(found.exit, stages, f.where)
    f.done()
    return found


def _risk(f: Fields) -> Risk:
    found = Risk(
        id=f.text("id"),
        title=f.text("title"),
        category=f.text("category"),
        probability=_scale(f, "probability"),
        impact=_scale(f, "impact"),
        status=_one_of(f, "status", RISK_STATUS),
        trigger=f.text("trigger"),
        mitigation=f.text("mitigation"),
        contingency=f.text("contingency"),
        owner=f.text("owner"),
        gate=f.text("gate"),
        review=f.get("review", date, None),
    )
    f.done()
    return found


def _lesson(f: Fields, stages: Collection[str]) -> Lesson:
    found = Lesson(f.text("id"), f.text("text"), f.text("practice"), _one_of(f, "kind", LESSONS), f.text("stage", ""))
    if found.stage and found.stage not in stages:
        raise PlanError(f"lesson {found.id!r} is of an unknown stage {found.stage!r}", where=f.where)
    f.done()
    return found


def _approval(f: Fields) -> Approval:
    found = Approval(
        id=f.text("id"),
        what=f.text("what"),
        amount=f.number("amount"),
        currency=f.text("currency"),
        period=f.text("period"),
        estimate=f.text("estimate"),
        when=f.get("when", date),
        who=f.text("who"),
    )
    f.done()
    return found


def _scale(f: Fields, key: str) -> int:
    found = f.get(key, int)
    if not 1 <= found <= 5:
        raise PlanError(f"{key} is {found}, not 1 to 5", where=f.where)
    return found


def _one_of(f: Fields, key: str, allowed: tuple[str, ...]) -> str:
    found = f.text(key)
    if found not in allowed:
        raise PlanError(f"{key} is {found!r}", where=f.where, fix=f"one of {', '.join(allowed)}")
    return found


def as_row(item: Any) -> dict[str, Any]:
    """JSON-able form of a risk, lesson, approval or blocker."""
    from dataclasses import asdict

    out = {key: value.isoformat() if isinstance(value, date) else value for key, value in asdict(item).items()}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in out.items()}
