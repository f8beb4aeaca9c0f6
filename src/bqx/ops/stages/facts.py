"""Does a stage's work and finds out what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bqx.base.errors import CheckError, StageFailed
from bqx.base.version import __version__
from bqx.build.choice import Choice
from bqx.build.planner import Plan as BuildPlan
from bqx.build.progress import Progress
from bqx.build.run import build
from bqx.ops.plan.columns import columns_in, homes_of
from bqx.ops.plan.criteria import parse_criterion
from bqx.ops.stages.checks import LEGACY_TOKENS, criterion, legacy_pattern, searched
from bqx.ops.stages.counting import Check, as_rows, count_stage, demand_enough, query_of
from bqx.ops.stages.task_checks import NAMES, task_check

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.ops.plan.model import Stage
    from bqx.ops.stages.board import Board


@dataclass(frozen=True)
class How:
    """How a run builds. first, last : months, None for all that have bars. populated : told of evidence on the way,
    that the partitions are there."""

    first: str | None = None
    last: str | None = None
    threads: int = 0
    progress: Callable[[BuildPlan], Progress] | None = None
    note: Callable[[str], None] | None = None
    populated: Callable[[dict[str, Any]], None] | None = None


def migration_facts(project: Project, board: Board, stage: Stage) -> dict[str, Any]:
    """Evidence that nothing has a name of the old convention any more; raises StageFailed where something has."""
    began = time.perf_counter()
    checks = [criterion(project, board.plan, board, text) for text in stage.exit]
    if bad := [check for check in checks if not check.ok]:
        raise StageFailed(
            f"{bad[0].what}: {bad[0].observed} instead of {bad[0].expected}",
            where=f"stage {stage.id}",
            fix="rename them: `bqx migrate`, docs/migrate.md",
        )
    return {
        "kind": "migration",
        "format": 1,
        "tool": __version__,
        "simulated": project.simulated,
        "owner": stage.owner,
        "checks": [check.as_dict() for check in checks],
        "searched": searched(project),
        "pattern": legacy_pattern().pattern,
        "tokens": list(LEGACY_TOKENS),
        "lacking": {},
        "total": {"columns": 0},
        "seconds": {"total": round(time.perf_counter() - began, 3)},
    }


def task_facts(project: Project, board: Board, stage: Stage) -> dict[str, Any]:
    """Evidence that every machine check of a task holds; raises StageFailed with the first that does not."""
    began = time.perf_counter()
    checks: list[Check] = []
    rests: dict[str, str] = {}
    for text in stage.exit:
        name, argument = parse_criterion(text, board.plan.stages, f"stage {stage.id}")
        if name in NAMES:
            found, on = task_check(project, name, argument)
            checks += found
            rests |= on
        else:
            checks.append(criterion(project, board.plan, board, text))
    if bad := [check for check in checks if not check.ok]:
        raise StageFailed(
            "; ".join(f"{c.what}: {c.observed:,} instead of {c.expected:,}" for c in bad[:3]),
            where=f"stage {stage.id}, check {bad[0].id}",
            fix="; ".join(f"`{command}`" for command in stage.commands) or None,
        )
    return {
        "kind": "task",
        "format": 1,
        "tool": __version__,
        "simulated": project.simulated,
        "owner": stage.owner,
        "acceptance": stage.acceptance or stage.result,
        "commands": list(stage.commands),
        "suite": list(stage.suite),
        "checks": [check.as_dict() for check in checks],
        "rests": rests,
        "lacking": {},
        "total": {"columns": 0},
        "seconds": {"total": round(time.perf_counter() - began, 3)},
    }


def feature_facts(project: Project, stage: Stage, how: How) -> tuple[dict[str, Any], str]:
    """Build the stage's datasets and count what is there; the facts and the hash of the partitions they speak of.

    Raises BuildError, CheckError, or StageFailed with the first assertion that does not hold.
    """
    began = time.perf_counter()
    homes = homes_of(stage.id)
    names = tuple(home.name for home in homes)
    choice = Choice(datasets=names, first_month=how.first, last_month=how.last)
    report = build(project, choice, threads=how.threads, progress=how.progress, note=how.note)
    built = time.perf_counter() - began
    held = [i for i in project.store.partitions() if i.key.dataset in names]
    if not held:
        raise StageFailed("there are no bars to build from", where=f"stage {stage.id}", fix="`bqx bars import FILES`")
    months = [i.key.ym for i in held if (how.first or "") <= i.key.ym <= (how.last or "9999_99")]
    if not months:
        raise StageFailed("there are no bars in these months", where=f"stage {stage.id}", fix="`bqx bars list`")
    facts: dict[str, Any] = {
        "kind": "features",
        "format": 1,
        "tool": __version__,
        "simulated": project.simulated,
        "owner": stage.owner,
        "scope": {"pairs": list(project.pairs), "first": min(months), "last": max(months)},
        "datasets": list(names),
        "code": {home.name: f"{home.version}:{home.code_hash}" for home in homes},
        "build": report.as_dict(),
    }
    if how.populated:
        how.populated(facts)
    try:
        counted = count_stage(project, choice)
        demand_enough(counted)
    except CheckError as error:
        raise StageFailed(error.what, where=error.where or f"stage {stage.id}", fix=error.fix) from error
    if counted.failed:
        bad = counted.failed[0]
        raise StageFailed(
            f"{bad.what}: {bad.observed:,} instead of {bad.expected:,}",
            where=f"stage {stage.id}, check {bad.id}",
            fix="`bqx build verify --deep` names the partition; build it again with `bqx build run --force`",
        )
    mine = [i for i in held if facts["scope"]["first"] <= i.key.ym <= facts["scope"]["last"]]
    tables = as_rows(counted)
    spent = _seconds(project, names, facts["scope"])
    for row in tables["datasets"]:
        name = row["dataset"]
        home = project.catalogue[name]
        more = [i for i in mine if i.key.dataset == name]
        row["columns"], row["counted"] = len(home.columns), columns_in([home])
        row["partitions"], row["partition_rows"] = len(more), sum(i.rows for i in more)
        row["bytes"], row["seconds"] = sum(i.bytes for i in more), spent.get(name, 0.0)
    total = time.perf_counter() - began
    facts |= {
        "tables": tables,
        "checks": [check.as_dict() for check in counted.checks],
        "query": query_of(names[0], [homes[0].columns[0].name], (0, 1)).partition(" WHERE")[0] + " GROUP BY 1, 2, 3",
        "lacking": counted.lacking,
        "partly": counted.partly,
        "without_bars": [pair for pair in project.pairs if pair not in project.bars.spans()],
        "total": {
            "columns": sum(len(home.columns) for home in homes),
            "counted": columns_in(homes),
            "partitions": len(mine),
            "partition_rows": sum(i.rows for i in mine),
            "values": counted.coverage.total["rows"],
            "present": counted.coverage.total["present"],
            "bytes": sum(i.bytes for i in mine),
        },
        "seconds": {"build": round(built, 3), "verify": round(total - built, 3), "total": round(total, 3)},
    }
    return facts, counted.data_hash


def _seconds(project: Project, names: tuple[str, ...], scope: dict[str, Any]) -> dict[str, float]:
    """Core seconds that the latest builds of a dataset's months took, whichever run made them."""
    marks = ", ".join("?" * len(names))
    sql = f"SELECT dataset, sum(seconds) FROM unit WHERE dataset IN ({marks}) AND ym >= ? AND ym <= ? GROUP BY 1"  # noqa: S608
    with project.manifest.connection() as con:
        return {
            row[0]: round(float(row[1] or 0.0), 3) for row in con.execute(sql, (*names, scope["first"], scope["last"]))
        }
