"""Every stage from 1.6.9 to 1.8.3, unattended; evidence against DuckDB over the files; reports made again."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from benchmarks.machine import commit
from benchmarks.soak.state import State
from bqx.base.errors import BqxError
from bqx.build.project import Project
from bqx.market.calendar import month_span, months_between
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate, simulated_source
from bqx.ops.plan.read import load_plan
from bqx.ops.stages.facts import How
from bqx.ops.stages.publish import verify_report
from bqx.ops.stages.report import stage_report
from bqx.ops.stages.run import Outcome, run_stage
from bqx.ops.stages.state import Evidence, PlanState

PANEL = {"1.6.16", "1.6.17", "1.6.18", "1.6.21"}
"""Stages that three pairs cannot compute."""
STAGES = tuple(name for name, s in load_plan().stages.items() if s.kind in ("features", "migration"))


def stages_market(state: State) -> dict[str, Any]:
    """28 pairs, one month of features after a month of bars that warms them up: every stage is validated."""
    return run_all(state, PAIRS[: state.size], ("2024_06", "2024_07"), How("2024_07", "2024_07"), set())


def stages_three(state: State) -> dict[str, Any]:
    """Three pairs and `state.size` months: the panel's stages are not computable and the others are validated."""
    pairs = ("eurusd", "gbpusd", "usdjpy")
    months = months_between(month_span("2024_07")[0], month_span("2024_12")[0])[: state.size]
    return run_all(state, pairs, (months[0], months[-1]), How(), PANEL)


def run_all(
    state: State,
    pairs: Sequence[str],
    months: tuple[str, str],
    how: How,
    lacking: set[str],
    names: Sequence[str] = STAGES,
) -> dict[str, Any]:
    """Run the stages `names`; a trial is a stage, and the project stays in the temporary folder until all are done."""
    root = Path(tempfile.gettempdir()) / f"bqx-{state.name}-{state.seed}-{len(pairs)}-{commit()}"
    project = _project(root, pairs, months, state.seed)
    plan, plan_state = load_plan(), PlanState(root)
    done = {t["stage"] for t in state.trials}
    for name in names:
        if name in done:
            continue
        began = time.perf_counter()
        try:
            outcome = run_stage(project, plan, plan_state, name, how)
        except BqxError as error:
            state.add({"stage": name, "status": "failed", "problems": [str(error)], "values": 0, "seconds": 0.0})
        else:
            state.add(_trial(project, plan_state, outcome, began))
        print(json.dumps(state.trials[-1]), flush=True)
    trials = state.trials
    found = {t["stage"]: t["status"] for t in trials}
    caught = _planted(project, plan_state, names)
    plan_state.close()
    project.close()
    shutil.rmtree(root)
    wanted = {name: "not computable" if name in lacking else "passed" for name in names}
    wrong = {name: status for name, status in found.items() if wanted[name] != status}
    problems, values = [p for t in trials for p in t["problems"]], sum(t["values"] for t in trials)
    return {
        "ok": found.keys() == wanted.keys() and not wrong and not problems and caught and values > 500,
        "pairs": len(pairs),
        "months": list(months),
        "stages": len(trials),
        "not_computable": sorted(name for name, status in found.items() if status == "not computable"),
        "not_as_wanted": wrong,
        "values_counted_by_sql": values,
        "problems": problems,
        "planted_null_was_caught": caught,
        "seconds": round(sum(t["seconds"] for t in trials), 1),
        "trials": trials,
    }  # fmt: skip


def _project(root: Path, pairs: Sequence[str], months: tuple[str, str], seed: int) -> Project:
    """The project of an earlier, stopped call, or a new one with simulated bars."""
    if (root / "ready").is_file():
        return Project.open(root)
    shutil.rmtree(root, ignore_errors=True)
    project = Project.create(root, pairs=pairs)
    start, end = month_span(months[0])[0], month_span(months[1])[1]
    for pair, frame in simulate(project.calendar, start, end, seed=seed, pairs=pairs, origin_minute=start).items():
        project.bars.ingest(pair, frame, simulated_source(seed, origin_minute=start))
    (root / "ready").touch()
    return project


def _trial(project: Project, state: PlanState, outcome: Outcome, began: float) -> dict[str, Any]:
    evidence = next(e for e in state.evidence(outcome.stage) if e.id == outcome.evidence)
    problems = [] if outcome.report[0] == "published" else [f"report {outcome.report[0]}: {outcome.report[1]}"]
    values, differ = _recount(project, evidence)
    problems += differ + _again(project, evidence)
    return {
        "stage": outcome.stage,
        "status": outcome.status,
        "reasons": list(outcome.reasons),
        "values": values,
        "columns": evidence.content["total"]["columns"],
        "problems": [f"{outcome.stage}: {p}" for p in problems],
        "seconds": round(time.perf_counter() - began, 1),
    }


def _recount(project: Project, evidence: Evidence) -> tuple[int, list[str]]:
    """Values of each column by DuckDB over the files themselves, and what differs from the evidence."""
    content, total, differ = evidence.content, 0, []
    for name in content.get("datasets", ()):
        first, last = content["scope"]["first"], content["scope"]["last"]
        held = [i for i in project.store.partitions(dataset=name) if first <= i.key.ym <= last]
        paths = [str(project.root / p.path) for i in held for p in i.pieces]
        rows = [row for row in content["tables"]["columns"] if row["dataset"] == name]
        counts = ", ".join(f'count("{row["column"]}")' for row in rows)
        found = duckdb.sql(f"SELECT {counts} FROM read_parquet({paths})").fetchall()[0]  # noqa: S608
        for row, n in zip(rows, found, strict=True):
            total += n
            if n != row["present"]:
                differ.append(f"{name}.{row['column']}: {n} by DuckDB, {row['present']} in the evidence")
    return total, differ


def _again(project: Project, evidence: Evidence) -> list[str]:
    """The report made a second time, as of another day, beside the one that was published."""
    report = stage_report(evidence)
    verify_report(report)
    path = project.root / "reports" / "stages" / f"stage-{evidence.stage.replace('.', '-')}.json"
    old, new = json.loads(path.read_text()), json.loads(json.dumps(report.as_dict()))
    report.made_at = datetime(2001, 2, 3, tzinfo=UTC)
    late = json.loads(json.dumps(report.as_dict()))
    keys = {key for key in old if old[key] != new[key] or new[key] != late[key]}
    return [] if keys <= {"made_at"} else [f"a report made later differs in {sorted(keys)}"]


def _planted(project: Project, state: PlanState, names: Sequence[str]) -> bool:
    """A value of a built file becomes NULL: running its stage again must fail, and say so."""
    name = "1.8.1" if "1.8.1" in names else names[-1]
    built = project.store.partitions(dataset="time_dual")
    if not built:
        return False
    info = built[0]
    path = project.root / info.pieces[0].path
    table = pl.read_parquet(path)
    column = table.columns[-1]
    holed = pl.when(pl.int_range(pl.len()) == table.height // 2).then(None).otherwise(pl.col(column)).alias(column)
    table.with_columns(holed).write_parquet(path)
    try:
        run_stage(project, load_plan(), state, name, How(info.key.ym, info.key.ym), again=True)
    except BqxError as error:
        return error.code == "BQX703" and "SQL" in error.what
    return False
