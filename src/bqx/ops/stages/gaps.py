"""What is missing between plan, catalogue, store and evidence, and how the columns spread over stages and statuses."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bqx.build.choice import Choice
from bqx.build.gather import gather
from bqx.build.planner import survey, wanted_months
from bqx.features.declare import OURS
from bqx.ops.plan.columns import columns_in, homes_of
from bqx.ops.stages.board import Board
from bqx.ops.stages.state import LEVELS

if TYPE_CHECKING:
    from bqx.build.project import Project


@dataclass(frozen=True, slots=True)
class Gap:
    """weight : `gap` is work, `note` is worth knowing. stage : "" for the plan as a whole."""

    weight: Literal["gap", "note"]
    stage: str
    kind: str
    what: str


@dataclass(frozen=True)
class Gaps:
    """columns : counted columns by stage and in all by the status of their stage."""

    gaps: tuple[Gap, ...]
    columns: dict[str, int]
    by_status: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        rows = [{"weight": g.weight, "stage": g.stage, "kind": g.kind, "what": g.what} for g in self.gaps]
        return {"gaps": rows, "columns_by_stage": self.columns, "columns_by_status": self.by_status}


def find_gaps(project: Project, board: Board) -> Gaps:
    """Reads the store and hashes the inputs of every partition; changes nothing."""
    out = _catalogue(project, board)
    pieces, months = _store(project)
    for standing in board:
        stage = board.plan.stages[standing.id]
        if stage.kind == "features":
            out += _stage(board, standing.id, pieces, months)
        elif stage.kind == "migration" and not standing.validated:
            out.append(Gap("gap", standing.id, "no evidence", f"the stage is {standing.status}, {standing.mark}"))
    by_hand = [s.id for s in board if board.plan.stages[s.id].manual]
    if by_hand:
        out.append(
            Gap(
                "note",
                "",
                "by hand",
                f"{len(by_hand)} stages and tasks have no machine check: {by_hand[0]} to {by_hand[-1]}",
            )
        )
    columns = {s.id: s.features for s in board if s.features}
    by_status = dict.fromkeys(LEVELS, 0)
    for standing in board:
        by_status[standing.status] += standing.features
    return Gaps(tuple(sorted(out, key=lambda g: g.weight)), columns, by_status)


def _catalogue(project: Project, board: Board) -> list[Gap]:
    out = [Gap("gap", "", "stale plan", board.stale)] if board.stale else []
    for home in project.catalogue.values():
        if home.stage in board.plan.stages:
            continue
        if home.origin != OURS:
            out.append(
                Gap("note", "", "outside the plan", f"{home.name} of {home.origin}: {len(home.columns)} columns")
            )
        elif home.counted:
            out.append(Gap("gap", home.stage, "no stage", f"{home.name}: {len(home.columns)} counted columns"))
        else:
            what = f"{home.name}: {len(home.columns)} auxiliary columns, built by `bqx build run`"
            out.append(Gap("note", home.stage, "outside the plan", what))
    for name, stage in board.plan.stages.items():
        if stage.kind != "features":
            continue
        homes = homes_of(name)
        if not homes:
            out.append(Gap("gap", name, "no dataset", "the catalogue has no dataset of this stage"))
        elif stage.features is not None and stage.features != columns_in(homes):
            what = f"the plan prints {stage.features} columns, the catalogue has {columns_in(homes)}"
            out.append(Gap("gap", name, "count differs", what))
    return out


def _store(project: Project) -> tuple[dict[str, Counter[str]], list[str]]:
    """States of all wanted partitions by dataset, and the months that have bars."""
    inputs, _ = gather(project)
    pieces: dict[str, Counter[str]] = {}
    for dataset, _, found in survey(inputs, project.store.partitions(), Choice()):
        pieces.setdefault(dataset, Counter()).update(piece.state for piece in found)
    return pieces, wanted_months(inputs, Choice())


def _stage(board: Board, name: str, pieces: dict[str, Counter[str]], months: list[str]) -> list[Gap]:
    standing = board[name]
    out = []
    for home in homes_of(name):
        states = pieces.get(home.name, Counter())
        for state in ("missing", "stale"):
            if states[state]:
                what = f"{home.name}: {states[state]} of {sum(states.values())} partitions"
                out.append(Gap("gap", name, f"{state} partitions", what))
    if standing.mark in ("not computable", "stale", "failed"):
        out += [Gap("gap", name, standing.mark, reason) for reason in standing.reasons]
    elif not standing.validated:
        out.append(Gap("gap", name, "no evidence", f"the stage is {standing.status}, {standing.mark}"))
    if standing.evidence is not None and (scope := standing.evidence.content.get("scope")):
        outside = [ym for ym in months if not scope["first"] <= ym <= scope["last"]]
        if outside:
            what = f"{len(outside)} months with bars are outside {scope['first']} to {scope['last']}"
            out.append(Gap("gap", name, "months without evidence", what))
    return out
