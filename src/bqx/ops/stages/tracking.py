"""The plan's side of the tracker: is it current, and what a stage's evidence tells it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bqx.ops.plan.model import Plan, Stage
from bqx.ops.stages.state import PlanState

if TYPE_CHECKING:
    from bqx.build.project import Project


def demand_tracker(project: Project, state: PlanState) -> None:
    """Until the tracker's code is here, nothing."""


def tell_tracker(
    con: sqlite3.Connection, plan: Plan, stage: Stage, level: str, evidence: int, facts: Mapping[str, Any]
) -> None:
    """Until the tracker's code is here, nothing."""
