"""Objects of a plan; all of them are read from YAML and none changes by running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

from bqx.base.errors import UsageError

Kind = Literal["features", "migration", "pipeline", "task"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A step that evidence can close.

    after : ids that gate it. advised : ids that sensibly come first and gate nothing. hours : estimate, None where the
    plan gives none. features, tables : as printed by the plan's author, None where nothing is. exit : criteria by the
    name of a machine check, `manual: ...` for a person to judge, or `cloud: ...` for what only an account can show.
    commands : that do the work. suite : tests of bqx that show the rest. since : plan that introduced it.
    """

    id: str
    name: str
    phase: str
    kind: Kind
    domain: str
    owner: str
    hours: float | None = None
    after: tuple[str, ...] = ()
    advised: tuple[str, ...] = ()
    features: int | None = None
    tables: int | None = None
    exit: tuple[str, ...] = ()
    result: str = ""
    acceptance: str = ""
    why: str = ""
    since: str = ""
    commands: tuple[str, ...] = ()
    suite: tuple[str, ...] = ()

    @property
    def before(self) -> tuple[str, ...]:
        """All that comes first in a schedule."""
        return tuple(dict.fromkeys((*self.after, *self.advised)))

    @property
    def manual(self) -> tuple[str, ...]:
        """Criteria that no machine check of this project can judge: a person must, or a cloud account is needed."""
        told = {"manual:": "no machine check yet: ", "cloud:": "needs a cloud account: "}
        return tuple(
            words + text.removeprefix(mark).strip()
            for text in self.exit
            for mark, words in told.items()
            if text.startswith(mark)
        )


@dataclass(frozen=True, slots=True)
class Phase:
    """A group of stages. hours : as printed."""

    id: str
    name: str
    hours: float | None = None


@dataclass(frozen=True, slots=True)
class Aspect:
    """A headline figure of a plan, as printed."""

    value: float
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something that keeps stages from running until its exit criterion, a machine check, holds."""

    id: str
    severity: str
    stages: tuple[str, ...]
    reason: str
    owner: str
    opened: date
    exit: str


@dataclass(frozen=True, slots=True)
class Risk:
    """probability and impact 1 to 5."""

    id: str
    title: str
    category: str
    probability: int
    impact: int
    status: str
    trigger: str
    mitigation: str
    contingency: str
    owner: str
    gate: str
    review: date | None = None

    @property
    def score(self) -> int:
        return self.probability * self.impact


@dataclass(frozen=True, slots=True)
class Lesson:
    """kind : went `well`, to `improve`, or a `practice` established."""

    id: str
    text: str
    practice: str
    kind: str
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved which amount on which estimate, and when."""

    id: str
    what: str
    amount: float
    currency: str
    period: str
    estimate: str
    when: date
    who: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the seed's table by domain, and our datasets for it."""

    domain: str
    name: str
    features: int
    tables: int
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrintedTotal:
    """A total as printed. lines : rule that adds up the printed lines. ours : rule over our catalogue, by default the
    same selection. why : reason of a difference, empty where there is none."""

    what: str
    printed: float
    lines: Mapping[str, Any]
    ours: Mapping[str, Any] | None = None
    why: str = ""


@dataclass(frozen=True)
class Register:
    """What a project knows besides stages."""

    risks: tuple[Risk, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    approvals: tuple[Approval, ...] = ()
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A version of the plan. catalogue : fingerprint of the catalogue it was made from. digest : of its files."""

    version: str
    title: str
    dated: date
    digest: str
    pairs: int
    months: int
    hours_a_week: float
    stages: Mapping[str, Stage]
    phases: Mapping[str, Phase]
    catalogue: str = ""
    aspects: Mapping[str, Aspect] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    totals: tuple[PrintedTotal, ...] = ()
    register: Register = field(default_factory=Register)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Ids in an order that meets all dependencies, as listed otherwise."""
        from bqx.ops.plan.graph import sort

        return sort(self.stages, where=f"plan {self.version}")

    def stage(self, name: str) -> Stage:
        """A stage by id; raises UsageError with the nearest ids."""
        if name not in self.stages:
            from difflib import get_close_matches

            near = get_close_matches(name, self.stages, 3) or list(self.stages)[:3]
            raise UsageError(f"plan {self.version} has no stage {name!r}", fix=f"did you mean {', '.join(near)}?")
        return self.stages[name]
