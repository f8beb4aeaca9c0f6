"""Exit criteria that a machine can check."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bqx.features.catalogue import own_datasets
from bqx.ops.plan.criteria import parse_criterion
from bqx.ops.plan.model import Plan
from bqx.ops.stages.counting import Check

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.ops.stages.board import Board

LEGACY_TOKENS = ("features", "idx")
"""Domain words of the old convention `{family}_{features|idx}_{pair}[_{yyyy}_{mm}]`."""


def criterion(project: Project, plan: Plan, board: Board, text: str) -> Check:
    """Whether a criterion such as `stage 1.6.9` holds now."""
    name, argument = parse_criterion(text, plan.stages, f"plan {plan.version}")
    if name == "stage":
        holds = int(board[argument].validated)
        return Check(text, f"stage {argument} is validated by evidence that holds", "plan.sqlite", 1, holds)
    if name == "no-legacy-names":
        found = legacy_names(project)
        query = f"names in manifest and lake that match {legacy_pattern().pattern}"
        return Check(
            text, "names of the old convention" + (f": {', '.join(found[:3])}" if found else ""), query, 0, len(found)
        )
    if name == "bars":
        return Check(text, f"{argument} has bars", "manifest", 1, int(argument in project.bars.spans()))
    from bqx.build.verify import verify

    problems = verify(project).problems
    first = f": {problems[0]['partition']} {problems[0]['what']}" if problems else ""
    return Check(text, f"problems that verification finds{first}", "bqx build verify", 0, len(problems))


def legacy_pattern() -> re.Pattern[str]:
    """Old names of the families that the catalogue has."""
    families = sorted({home.family for home in own_datasets().values()}, key=len, reverse=True)
    roots = sorted({re.sub(r"_(w\d+|raw|std|vol|trend)$", "", name) for name in families} | set(families))
    return re.compile(rf"(?:{'|'.join(roots)})_(?:{'|'.join(LEGACY_TOKENS)})(?:_[a-z]{{6}}(?:_\d{{4}}_\d{{2}})?)?")


def legacy_names(project: Project) -> list[str]:
    """Datasets of the manifest, and folders of the lake, that still have such a name."""
    with project.manifest.connection() as con:
        sql = (
            "SELECT DISTINCT d.name FROM dataset d JOIN partition q ON q.dataset_id = d.id "
            "JOIN generation g ON g.partition_id = q.id WHERE g.known_to IS NULL"
        )
        names = {str(row[0]) for row in con.execute(sql)}
    lake = project.root / "lake"
    names |= {path.name for path in lake.iterdir()} if lake.is_dir() else set()
    return sorted(name for name in names if legacy_pattern().fullmatch(name))


def searched(project: Project) -> int:
    """How many names were looked at, so that nothing found can be told from nothing sought."""
    with project.manifest.connection() as con:
        held = int(con.execute("SELECT count(*) FROM partition").fetchone()[0])
        names = int(con.execute("SELECT count(*) FROM dataset").fetchone()[0])
    lake = project.root / "lake"
    return held + names + (sum(1 for _ in lake.iterdir()) if lake.is_dir() else 0)
