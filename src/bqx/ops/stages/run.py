"""`bqx stage run` as a function: gates, work, evidence, report, and what it unblocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bqx.base.errors import BqxError, StageBlocked
from bqx.ops.plan.columns import columns_in, homes_of
from bqx.ops.plan.model import Plan, Stage
from bqx.ops.stages.board import Board, make_board, obstacles
from bqx.ops.stages.context import context
from bqx.ops.stages.facts import How, feature_facts, migration_facts, task_facts
from bqx.ops.stages.publish import publish
from bqx.ops.stages.state import Level, PlanState, end_run, put_evidence
from bqx.ops.stages.tracking import demand_tracker, tell_tracker

if TYPE_CHECKING:
    from bqx.build.project import Project


@dataclass(frozen=True)
class Outcome:
    """What a run of a stage came to. status : passed, not computable, fresh (its evidence holds already). report :
    state and path of its report."""

    stage: str
    status: str
    evidence: int
    reasons: tuple[str, ...] = ()
    unblocked: tuple[str, ...] = ()
    report: tuple[str, str, str] = ("draft", "", "")
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        state, reason, path = self.report
        out = {**self.__dict__, "reasons": list(self.reasons), "unblocked": list(self.unblocked)}
        return {**out, "report": {"state": state, "reason": reason, "path": path}}


def run_stage(
    project: Project, plan: Plan, state: PlanState, name: str, how: How | None = None, *, again: bool = False
) -> Outcome:
    """Run a stage. Raises StageBlocked when it may not run, StageFailed when its evidence does not hold; then nothing
    is marked and the same call goes on later. again : also when its evidence holds.
    """
    how = how or How()
    stage = plan.stage(name)
    board = _gate(project, plan, state, stage)
    if not again and (known := _known(project, plan, state, board, stage, how)):
        return known
    demand_tracker(project, plan, state, board)
    run = state.begin(name, plan.version)
    try:
        _declare(plan, state, run, stage)
        if stage.kind == "migration":
            facts, data_hash = migration_facts(project, board, stage), ""
        elif stage.kind in ("pipeline", "task"):
            facts, data_hash = task_facts(project, board, stage), ""
        else:
            told = replace(how, populated=lambda found: _populated(project, plan, state, run, stage, found))
            facts, data_hash = feature_facts(project, stage, told)
        return _conclude(project, plan, state, run, stage, facts, data_hash)
    except BqxError as error:
        state.end(run, "failed", f"{error.what}" + (f" ({error.where})" if error.where else ""))
        raise
    except BaseException as error:
        state.end(run, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed", type(error).__name__)
        raise


def run_ready(
    project: Project,
    plan: Plan,
    state: PlanState,
    how: How | None = None,
    *,
    tell: Callable[[str, Outcome | BqxError], None] | None = None,
) -> tuple[list[Outcome], dict[str, BqxError]]:
    """Run all that can be run, in the order of the plan, stages that became ready on the way among them; a failure
    keeps back only what depends on it. Outcomes, and errors by stage."""
    done: list[Outcome] = []
    failed: dict[str, BqxError] = {}
    seen: set[str] = set()
    while True:
        board = make_board(project, plan, state)
        names = [s.id for s in board if s.id not in seen and runnable(board, s.id)]
        if not names:
            return done, failed
        seen.add(names[0])
        try:
            done.append(run_stage(project, plan, state, names[0], how))
        except StageBlocked:
            raise
        except BqxError as error:
            failed[names[0]] = error
        if tell:
            tell(names[0], failed.get(names[0]) or done[-1])


def runnable(board: Board, name: str) -> bool:
    """Whether `--all` runs it: what builds. Tasks are looked at by name, once their own commands have done the work."""
    stage = board.plan.stages[name]
    return not stage.manual and stage.kind in ("features", "migration") and not obstacles(board, name)


def _gate(project: Project, plan: Plan, state: PlanState, stage: Stage) -> Board:
    """The board; StageBlocked with all that is in the way. Blockers whose criterion has come to hold are closed."""
    _close_blockers(project, plan, state)
    board = make_board(project, plan, state)
    if against := obstacles(board, stage.id):
        raise StageBlocked("; ".join(against), where=f"stage {stage.id}", fix="`bqx stage list` shows what can run")
    if stage.manual:
        raise StageBlocked(
            "; ".join(stage.manual),
            where=f"stage {stage.id}",
            fix="its work is done by other commands; it stays as it is until they give evidence",
        )
    return board


def _close_blockers(project: Project, plan: Plan, state: PlanState) -> None:
    from bqx.ops.stages.checks import criterion

    board = make_board(project, plan, state)
    for blocker, is_open in board.blockers:
        if is_open and (check := criterion(project, plan, board, blocker.exit)).ok:
            state.close_blocker(blocker.id, f"{check.what}: {check.observed}")


def _known(project: Project, plan: Plan, state: PlanState, board: Board, stage: Stage, how: How) -> Outcome | None:
    """The outcome on record when its evidence holds, covers what is asked for, and the bars have not moved on."""
    found = board[stage.id].evidence
    if found is None or (found.level not in ("validated", "in model") and found.computable):
        return None
    if stage.kind == "features":
        from bqx.build.choice import Choice
        from bqx.build.run import plan as plan_build

        choice = Choice(datasets=tuple(found.content["datasets"]), first_month=how.first, last_month=how.last)
        todo, inputs = plan_build(project, choice)
        from bqx.build.planner import wanted_months

        months = wanted_months(inputs, choice)
        scope = found.content["scope"]
        if todo.units or not months or min(months) < scope["first"] or max(months) > scope["last"]:
            return None
    report = state.report(found.id)
    if report[0] != "published":
        report = publish(project, plan, state, found)
    status = "fresh" if found.computable else "not computable"
    return Outcome(stage.id, status, found.id, board[stage.id].reasons, report=report)


def _declare(plan: Plan, state: PlanState, run: int, stage: Stage) -> None:
    """Evidence of `schema`: the catalogue declares the stage's datasets, as many columns as the plan counts."""
    homes = homes_of(stage.id)
    if stage.kind != "features" or any(e.level != "schema" for e in state.evidence(stage.id)):
        return
    content = {
        "kind": "features",
        "format": 1,
        "code": {home.name: f"{home.version}:{home.code_hash}" for home in homes},
        "total": {"columns": sum(len(home.columns) for home in homes), "counted": columns_in(homes)},
    }
    _put(plan, state, run, stage, "schema", True, "", content)


def _populated(project: Project, plan: Plan, state: PlanState, run: int, stage: Stage, found: dict[str, Any]) -> None:
    """Evidence of `populated`: the build left nothing missing."""
    from bqx.ops.stages.counting import hash_of

    scope = found["scope"]
    mine = [i for i in project.store.partitions() if i.key.dataset in found["datasets"]]
    digest = hash_of([i for i in mine if scope["first"] <= i.key.ym <= scope["last"]])
    _put(plan, state, run, stage, "populated", True, digest, found)


def _put(
    plan: Plan,
    state: PlanState,
    run: int,
    stage: Stage,
    level: Level,
    computable: bool,
    data: str,
    content: dict[str, Any],
) -> None:
    with state.transaction() as con:
        put_evidence(
            con,
            run=run,
            stage=stage.id,
            level=level,
            computable=computable,
            plan=plan.version,
            plan_digest=plan.digest,
            data_hash=data,
            content=content,
        )


def _conclude(
    project: Project, plan: Plan, state: PlanState, run: int, stage: Stage, facts: dict[str, Any], data_hash: str
) -> Outcome:
    """Evidence, closed blockers, the end of the run and the tracker's change in one transaction; then the report."""
    lacking = facts["lacking"]
    computable = not lacking and not facts.get("without_bars")
    some = facts["total"].get("present", 1) > 0
    level: Level = "validated" if computable else ("populated" if some else "schema")
    facts["context"] = context(project, plan, state, stage.id, level, computable)
    closed = {b["id"]: b["observed"] for b in facts["context"]["blockers"] if b["closed_now"]}
    with state.transaction(faults=True) as con:
        key = put_evidence(
            con,
            run=run,
            stage=stage.id,
            level=level,
            computable=computable,
            plan=plan.version,
            plan_digest=plan.digest,
            data_hash=data_hash,
            content=facts,
        )
        for blocker, observed in closed.items():
            con.execute(
                "INSERT OR IGNORE INTO closing SELECT ?, made_at, run_id, ? FROM evidence WHERE id = ?",
                (blocker, observed, key),
            )
        end_run(con, run, "passed" if computable else "not computable")
        tell_tracker(con, plan, stage, level, key, columns_in(homes_of(stage.id)))
    found = state.evidence(stage.id)[-1]
    report = publish(project, plan, state, found)
    return Outcome(
        stage.id,
        "passed" if computable else "not computable",
        key,
        tuple(sorted({*lacking.values(), *(f"no bars of {pair}" for pair in facts.get("without_bars", ()))})),
        tuple(facts["context"]["unblocked"]),
        report,
        facts["seconds"]["total"],
    )
