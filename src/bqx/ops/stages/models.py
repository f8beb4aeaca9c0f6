"""`in model`: evidence that columns of a stage are inputs of a model."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bqx.base.errors import StageBlocked, UsageError
from bqx.features.catalogue import column
from bqx.ops.plan.model import Plan
from bqx.ops.stages.board import make_board
from bqx.ops.stages.state import PlanState, end_run, put_evidence
from bqx.ops.stages.tracking import tell_tracker

if TYPE_CHECKING:
    from bqx.build.project import Project


def read_model(path: Path) -> tuple[str, list[str]]:
    """Name and inputs of a model from `{"model": ..., "columns": ["dataset.column", ...]}`; raises UsageError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        name, columns = data["model"], data["columns"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "not a model's description", where=path.name, fix='{"model": ..., "columns": [...]}'
        ) from error
    if not (isinstance(name, str) and name and isinstance(columns, list) and columns):
        raise UsageError("a model has a name and at least one column", where=path.name)
    return name, [str(item) for item in columns]


def record_model(
    project: Project, plan: Plan, state: PlanState, model: str, columns: Sequence[str]
) -> dict[str, list[str]]:
    """Move the stages whose columns, or lags of them, the model takes to `in model`; stage -> its columns.

    Raises UsageError for an unknown column, StageBlocked when a column's stage is not validated: then none moves.
    """
    board = make_board(project, plan, state)
    taken: dict[str, list[str]] = {}
    for name in dict.fromkeys(re.sub(r"\.lag\d+$", "", text) for text in columns):
        home, item = column(name)
        if home.stage not in plan.stages:
            raise UsageError(f"{home.name}.{item.name} belongs to no stage of plan {plan.version}")
        taken.setdefault(home.stage, []).append(f"{home.name}.{item.name}")
    if early := [name for name in taken if not board[name].validated]:
        words = "; ".join(f"stage {name} is {board[name].status}" for name in early)
        raise StageBlocked(
            f"{words}, and the model takes its columns", where=f"model {model}", fix="run the stage first"
        )
    for name, mine in taken.items():
        found = board[name].evidence
        assert found is not None
        kept = {key: found.content[key] for key in ("kind", "format", "scope", "datasets", "code", "total")}
        run = state.begin(name, plan.version)
        with state.transaction() as con:
            key = put_evidence(
                con,
                run=run,
                stage=name,
                level="in model",
                computable=True,
                plan=plan.version,
                plan_digest=plan.digest,
                data_hash=found.data_hash,
                content={**kept, "model": model, "columns": mine, "rests_on": found.id},
            )
            end_run(con, run, "passed", f"columns are inputs of model {model}")
            tell_tracker(con, plan, plan.stages[name], "in model", key, board[name].features)
    return taken
