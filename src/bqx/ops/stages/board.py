"""Where every stage stands: its status by evidence that still holds, and what is in its way."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bqx.ops.plan.columns import columns_in, homes_of, partitions_in, stale
from bqx.ops.plan.graph import dependants
from bqx.ops.plan.model import Blocker, Plan
from bqx.ops.stages.state import LEVELS, Evidence, PlanState, Run

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.store.contract import PartitionInfo


@dataclass(frozen=True)
class Standing:
    """One stage. status : one of LEVELS. mark : what to know besides: done, ready, blocked, running, failed, stale,
    not computable, by hand. reasons : why. evidence : the latest that holds."""

    id: str
    status: str = "defined"
    mark: str = ""
    reasons: tuple[str, ...] = ()
    evidence: Evidence | None = None
    last: Run | None = None
    features: int = 0
    partitions: int = 0

    @property
    def validated(self) -> bool:
        return LEVELS.index(self.status) >= LEVELS.index("validated")

    @property
    def hours(self) -> float | None:
        """What the run that validated it took."""
        seconds = self.evidence.content.get("seconds", {}).get("total") if self.evidence else None
        return None if seconds is None else seconds / 3600

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": self.status,
            "mark": self.mark,
            "reasons": list(self.reasons),
            "evidence": self.evidence.id if self.evidence else None,
            "features": self.features,
            "partitions": self.partitions,
            "last_run": self.last.status if self.last else None,
        }


@dataclass(frozen=True)
class Board:
    """All stages of a plan by id, in its order. stale : why the plan no longer fits the catalogue."""

    plan: Plan
    stages: Mapping[str, Standing]
    blockers: tuple[tuple[Blocker, bool], ...]
    stale: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, stage: str) -> Standing:
        return self.stages[stage]

    def __iter__(self) -> Iterator[Standing]:
        return iter(self.stages.values())

    @property
    def ready(self) -> tuple[str, ...]:
        return tuple(s.id for s in self if s.mark == "ready")

    @property
    def done(self) -> frozenset[str]:
        return frozenset(s.id for s in self if s.validated)

    def as_dict(self) -> dict[str, Any]:
        stages = []
        for standing in self:
            stage = self.plan.stages[standing.id]
            facts = {"name": stage.name, "phase": stage.phase, "kind": stage.kind, "owner": stage.owner}
            stages.append(
                {
                    **standing.as_dict(),
                    **facts,
                    "hours": stage.hours,
                    "after": list(stage.after),
                    "commands": list(stage.commands),
                    "suite": list(stage.suite),
                }
            )
        blockers = [{"id": b.id, "open": is_open, "stages": list(b.stages), "reason": b.reason, "owner": b.owner,
                     "severity": b.severity, "exit": b.exit} for b, is_open in self.blockers]  # fmt: skip
        return {"plan": self.plan.version, "stale": self.stale, "stages": stages, "blockers": blockers}


def make_board(
    project: Project,
    plan: Plan,
    state: PlanState | None,
    *,
    assume: Mapping[str, tuple[str, bool]] | None = None,
    closed_too: Collection[str] = (),
) -> Board:
    """Read the state and the store; changes nothing.

    assume : stage -> status and whether it is computable, as if evidence said so. closed_too : blockers taken as
    closed.
    """
    from bqx.ops.stages.register import blockers_of

    held: dict[str, list[PartitionInfo]] = {}
    for info in project.store.partitions():
        held.setdefault(info.key.dataset, []).append(info)
    evidence: dict[str, list[Evidence]] = {}
    last: dict[str, Run] = {}
    if state is not None:
        for found in state.evidence():
            evidence.setdefault(found.stage, []).append(found)
        last = {run.stage: run for run in state.runs()}
    closed = state.closings() if state is not None else {}
    blockers = tuple((b, b.id not in closed and b.id not in closed_too) for b in blockers_of(plan, state))
    codes = {home.name: f"{home.version}:{home.code_hash}" for home in project.catalogue.values()}
    stages: dict[str, Standing] = {}
    for name in plan.order:
        homes = homes_of(name)
        base = Standing(name, features=columns_in(homes), partitions=partitions_in(plan, homes), last=last.get(name))
        if name in (assume or {}):
            level, computable = (assume or {})[name]
            stages[name] = replace(base, status=level, mark="" if computable else "not computable", last=None)
        else:
            stages[name] = _by_evidence(project, base, evidence.get(name, []), held, codes)
    board = Board(plan, stages, blockers, stale(plan))
    return replace(board, stages={name: _marked(board, s) for name, s in stages.items()})


def obstacles(board: Board, stage: str) -> list[str]:
    """Why a stage may not run: the plan, its dependencies, open blockers."""
    out = [f"the plan is stale: {board.stale}"] if board.stale else []
    out += [
        f"stage {name} is {_words(board[name])}, not validated"
        for name in board.plan.stages[stage].after
        if not board[name].validated
    ]
    for blocker, is_open in board.blockers:
        if is_open and stage in dependants(board.plan.stages, blocker.stages):
            out.append(
                f"blocker {blocker.id} ({blocker.severity}, {blocker.owner}): {blocker.reason}; "
                f"open until {blocker.exit}"
            )
    return out


def _words(standing: Standing) -> str:
    extra = standing.mark if standing.mark in ("not computable", "stale", "failed", "running") else ""
    return f"{standing.status} ({extra})" if extra else standing.status


def _by_evidence(
    project: Project,
    base: Standing,
    found: list[Evidence],
    held: Mapping[str, list[PartitionInfo]],
    codes: Mapping[str, str],
) -> Standing:
    """The status that the best evidence which holds supports."""
    if not found:
        return base
    from bqx.ops.stages.holding import why_not

    against = {e.id: why_not(project, e, held, codes) for e in found}
    holding = [e for e in found if against[e.id] is None]
    concluded = [e for e in found if _concluded(e)]
    if concluded and not any(_concluded(e) for e in holding):
        return replace(base, status="schema", mark="stale", reasons=(str(against[concluded[-1].id]),))
    if not holding:
        return base
    latest = max(holding, key=lambda e: (_concluded(e), LEVELS.index(e.level), e.id))
    standing = replace(base, status=latest.level, evidence=latest)
    if latest.level == "in model":
        validating = [e for e in found if e.level == "validated"]
        standing = replace(standing, evidence=validating[-1] if validating else latest)
    if not latest.computable:
        lacking, without = latest.content.get("lacking", {}), latest.content.get("without_bars", ())
        words = []
        if lacking:
            many = f"{len(lacking)} of {latest.content['total']['columns']} columns have no value"
            words.append(f"{many}: {', '.join(sorted(set(lacking.values())))}")
        if without:
            words.append(f"no bars of {', '.join(without)}")
        standing = replace(standing, mark="not computable", reasons=tuple(words))
    return standing


def _concluded(found: Evidence) -> bool:
    """Whether a run came to its end with it; `schema` and `populated` are stored on the way too."""
    return not found.computable or found.level in ("validated", "in model")


def _marked(board: Board, standing: Standing) -> Standing:
    if standing.last is not None and standing.last.status == "running":
        return replace(standing, mark="running")
    if standing.mark == "not computable":
        return standing
    if standing.validated:
        return replace(standing, mark="done")
    if standing.last is not None and standing.last.status in ("failed", "killed", "interrupted") and not standing.mark:
        standing = replace(standing, mark="failed", reasons=(f"{standing.last.status}: {standing.last.reason}",))
    against = obstacles(board, standing.id)
    if against:
        mark = standing.mark if standing.mark in ("failed", "stale") else "blocked"
        return replace(standing, mark=mark, reasons=(*standing.reasons, *against))
    if standing.mark:
        return standing
    manual = board.plan.stages[standing.id].manual
    if manual:
        return replace(standing, mark="by hand", reasons=manual)
    return replace(standing, mark="ready")
