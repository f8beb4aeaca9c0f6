"""Exit criteria that a machine can check."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bqx.features.catalogue import own_datasets
from bqx.ops.plan.criteria import parse_criterion
from bqx.ops.plan.model import Plan
from bqx.ops.stages.counting import Check
from bqx.ops.stages.task_checks import NAMES, task_check

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.ops.stages.board import Board

LEGACY_TOKENS = ("features", "idx")
"""Domain words of the old convention `{family}_{features|idx}_{pair}[_{yyyy}_{mm}]`."""


def criterion(project: Project, plan: Plan, board: Board, text: str) -> Check:
    """Whether a criterion such as `stage 1.6.9` holds now."""
    name, argument = parse_criterion(text, plan.stages, f"plan {plan.version}")
    if name in NAMES:
        checks, _ = task_check(project, name, argument)
        return next((check for check in checks if not check.ok), checks[0])
    if name == "stage":
        holds = int(board[argument].validated)
        return Check(text, f"stage {argument} is validated by evidence that holds", "plan.sqlite", 1, holds)
    if name == "no-legacy-names":
        found = legacy_names(project) + [f"{name} (unfinished migration)" for name in unfinished(project)]
        query = f"names of datasets, lake folders and server relations that match {legacy_pattern().pattern}"
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
    """Datasets, folders of the lake, and relations of the server's schema that still have such a name."""
    return sorted(name for name in _names(project) if legacy_pattern().fullmatch(name))


def searched(project: Project) -> int:
    """How many names were looked at, so that nothing found can be told from nothing sought."""
    return len(_names(project))


def unfinished(project: Project) -> list[str]:
    """Migrations of the manifest's ledger that were begun and have not come to their end."""
    from bqx.store.migrate import lake_ledger

    ends = ("finished", "rollback_finished")
    out = []
    for name in lake_ledger.migrations(project.manifest):
        kinds = [event.kind for event in lake_ledger.events(project.manifest, name)]
        begun = max((k for k, kind in enumerate(kinds) if kind.endswith("started")), default=-1)
        if begun >= 0 and not any(kind.endswith(ends) for kind in kinds[begun:]):
            out.append(name)
    return out


def _names(project: Project) -> set[str]:
    names = {info.key.dataset for info in project.store.partitions()}
    lake = project.root / "lake"
    names |= {path.name for path in lake.iterdir()} if lake.is_dir() else set()
    return names | _relations(project)


def _relations(project: Project) -> set[str]:
    """Tables and views of the schema that features on a server lie in."""
    if project.config.store.kind != "postgres":
        return set()
    from bqx.store.pg.manifest import PgManifest

    assert isinstance(project.manifest, PgManifest)
    sql = "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s"
    with project.manifest.sessions.lend() as con:
        return {str(row[0]) for row in con.execute(sql, (project.manifest.layout.schema,))}
