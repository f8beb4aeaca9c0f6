"""The plan's side of the tracker: what it should say, whether it does, and what a stage's evidence tells it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from bqx.base.errors import BqxError
from bqx.base.runlog import event
from bqx.ops.plan.model import Plan, Stage
from bqx.ops.stages.board import Board, make_board
from bqx.ops.stages.state import Evidence, PlanState
from bqx.ops.tracker.check import check
from bqx.ops.tracker.open import open_tracker
from bqx.ops.tracker.outbox import Value, enqueue
from bqx.ops.tracker.sync import Synced, sync
from bqx.store.known import now_us

if TYPE_CHECKING:
    from bqx.build.project import Project

OWN = ("local", "export")
"""Trackers that are files of the project: they are brought up to date without being asked for."""


def records(board: Board) -> dict[str, dict[str, Value]]:
    """What a tracker should hold of each stage: code -> fields."""
    return {
        s.id: _fields(board.plan.stages[s.id], s.status, s.evidence.id if s.evidence else None, s.features)
        for s in board
    }


def claims(board: Board) -> dict[str, dict[str, Value]]:
    """What the evidence supports, of the stages that have any."""
    return {s.id: {"status": s.status} for s in board if s.evidence is not None}


def sync_tracker(project: Project, plan: Plan, state: PlanState) -> Synced:
    """Deliver what waits and send what was never sent; what others changed stays. Its trouble is in the answer."""
    board = make_board(project, plan, state)
    with _own(state) as con:
        return sync(con, open_tracker(project.config), records(board), claims(board))


def demand_tracker(project: Project, plan: Plan, state: PlanState, board: Board) -> None:
    """Raise TrackerStale, TrackerDrift or what keeps the tracker from being read; a stage is not run then."""
    if project.config.tracker.kind in OWN:
        sync_tracker(project, plan, state)
    age = project.config.tracker.max_age_min * 60
    with _own(state) as con:
        check(con, open_tracker(project.config), records(board), claims(board), max_age_s=age)


def tell_tracker(con: sqlite3.Connection, plan: Plan, stage: Stage, level: str, evidence: int, features: int) -> int:
    """Queue a stage's new status in the transaction of its evidence."""
    return enqueue(con, code=stage.id, fields=_fields(stage, level, evidence, features), made_at=now_us())


def tracker_says(project: Project, plan: Plan, state: PlanState, evidence: Evidence) -> str:
    """Why a report may not be published yet: the tracker shows another status or could not be told; "" when it agrees.

    Only the latest evidence of a stage is compared: an older report stays as it was.
    """
    if evidence.id != max(e.id for e in state.evidence(evidence.stage)):
        return ""
    try:
        found = sync_tracker(project, plan, state)
    except BqxError as error:
        event("stage.tracker", level="warning", stage=evidence.stage, what=error.what)
        return f"the tracker could not be told: {error.what}"
    if found.delivery.problem is not None:
        return f"the tracker could not be told: {found.delivery.problem.what}"
    mine = [d for d in found.left if d.code == evidence.stage]
    return f"the tracker differs: {mine[0]}" if mine else ""


def _fields(stage: Stage, status: str, evidence: int | None, features: int) -> dict[str, Value]:
    return {
        "name": stage.name,
        "status": status,
        "hours": stage.hours,
        "features": features,
        "evidence": None if evidence is None else f"evidence {evidence}",
    }


class _own:  # noqa: N801 - reads like the function it is
    """A connection of its own, outside a transaction, as deliveries commit by themselves."""

    def __init__(self, state: PlanState) -> None:
        self._con = sqlite3.connect(state.path, timeout=60.0, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        self._con.execute("PRAGMA foreign_keys = ON")
        return self._con

    def __exit__(self, *error: object) -> None:
        self._con.close()
