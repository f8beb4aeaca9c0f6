"""What a report says around its stage, taken when the evidence is: a report made later is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bqx.features.catalogue import own_datasets
from bqx.ops.plan.columns import columns_in, partitions_in
from bqx.ops.plan.diff import diff
from bqx.ops.plan.forecast import forecast
from bqx.ops.plan.model import Plan
from bqx.ops.plan.read import load_plan
from bqx.ops.plan.schedule import schedule
from bqx.ops.plan.totals import totals
from bqx.ops.stages.board import Board, make_board
from bqx.ops.stages.checks import criterion
from bqx.ops.stages.register import rows_of
from bqx.ops.stages.state import PlanState

if TYPE_CHECKING:
    from bqx.build.project import Project

BEFORE = "v2.0"


def context(project: Project, plan: Plan, state: PlanState, stage: str, level: str, computable: bool) -> dict[str, Any]:
    """JSON-able; as of the moment at which evidence of `level` for `stage` is about to be stored."""
    before = make_board(project, plan, state)
    after, closed = with_evidence(project, plan, state, stage, level, computable)
    unblocked = [name for name in after.ready if before[name].mark == "blocked"]
    return {
        "plan": {"version": plan.version, "title": plan.title, "digest": plan.digest, "catalogue": plan.catalogue},
        "reconciliation": diff(load_plan(BEFORE), plan).as_dict()["aspects"],
        "totals": [{**{k: getattr(t, k) for k in t.__slots__}, "agrees": t.agrees} for t in totals(plan)],
        "domains": _domains(plan),
        "before": {"status": before[stage].status, "mark": before[stage].mark},
        "stages": [_row(plan, after, s.id) for s in after
                   if plan.stages[s.id].kind != "task" or s.id == stage or s.id in unblocked],
        "unblocked": unblocked,
        "blockers": [
            {"id": b.id, "open": is_open, "closed_now": b.id in closed, "reason": b.reason, "owner": b.owner,
             "severity": b.severity, "exit": b.exit, "observed": closed.get(b.id, "")}
            for b, is_open in after.blockers
        ],
        "next": next((name for name in plan.order if name in after.ready), None),
        **outlook(after),
        "risks": rows_of(plan, state, "risk"),
        "lessons": rows_of(plan, state, "lesson"),
        "approvals": rows_of(plan, state, "approval"),
        "security": _security(project),
    }  # fmt: skip


def outlook(board: Board) -> dict[str, Any]:
    """`left`: stages, hours and the longest chain of what is not validated; `forecast`: from how long stages took."""
    plan = board.plan
    left = [s.id for s in board if not s.validated and plan.stages[s.id].kind in ("features", "migration")]
    plans = schedule(plan, left)
    guess = forecast(plan, actuals(board), frozenset(name for name in plan.stages if name not in left))
    return {
        "left": {"stages": len(left), "hours": plans.sequential, "parallel_hours": plans.hours,
                 "critical_path": list(plans.path), "width": plans.width, "hours_a_week": plan.hours_a_week},
        "forecast": {k: getattr(guess, k) for k in guess.__slots__},
    }  # fmt: skip


def with_evidence(
    project: Project, plan: Plan, state: PlanState, stage: str, level: str, computable: bool
) -> tuple[Board, dict[str, str]]:
    """The board as it will be, and the blockers whose criterion then holds with what was seen."""
    board = make_board(project, plan, state, assume={stage: (level, computable)})
    closed = {}
    for blocker, is_open in board.blockers:
        if is_open and (check := criterion(project, plan, board, blocker.exit)).ok:
            closed[blocker.id] = f"{check.what}: {check.observed}"
    if closed:
        board = make_board(project, plan, state, assume={stage: (level, computable)}, closed_too=closed)
    return board, closed


def actuals(board: Board) -> dict[str, float]:
    """Hours that validated stages took, of those whose run built something."""
    out = {}
    for standing in board:
        if standing.validated and standing.evidence is not None and standing.hours is not None:
            content = standing.evidence.content
            if content["kind"] == "migration" or (content["kind"] == "features" and content["build"]["built"]):
                out[standing.id] = standing.hours
    return out


def _row(plan: Plan, board: Board, name: str) -> dict[str, Any]:
    stage, standing = plan.stages[name], board[name]
    return {"id": name, "name": stage.name, "features": standing.features, "partitions": standing.partitions,
            "hours": stage.hours, "status": standing.status, "mark": standing.mark}  # fmt: skip


def _domains(plan: Plan) -> list[dict[str, Any]]:
    """Counted columns and partitions of the plan's domains and their families, from the catalogue."""
    homes = own_datasets()
    out = []
    for line in plan.lines:
        mine = [homes[name] for name in line.datasets]
        out.append({"domain": line.domain, "name": line.name, "features": columns_in(mine),
                    "partitions": partitions_in(plan, mine)})  # fmt: skip
    return out


def _security(project: Project) -> dict[str, Any]:
    """The configuration file passed through the secret scan; reports are redacted and checked when they are written."""
    from bqx.ops.secretscan_lines import LineScanner

    path = project.root / "bqx.toml"
    lines = path.read_text(encoding="utf-8")
    return {"files": 1, "lines": lines.count("\n"), "findings": sum(1 for _ in LineScanner().scan(lines, path.name))}
