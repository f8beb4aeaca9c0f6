"""What the pages of the console show, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bqx.base.provenance import plain_number
from bqx.features.catalogue import count, describe
from bqx.market.calendar import month_span
from bqx.ops.plan.columns import homes_of
from bqx.ops.plan.read import load_plan
from bqx.ops.plan.schedule import schedule
from bqx.ops.stages.board import make_board
from bqx.ops.stages.drawing import graph_svg
from bqx.ops.stages.publish import FOLDER
from bqx.ops.stages.state import LEVELS, PlanState
from bqx.store.known import known_text

if TYPE_CHECKING:
    from bqx.build.project import Project

SHOWN = 6
"""Columns drawn when none is chosen."""
HOURS = 48
"""Hours drawn, the last ones of the month."""


def board(project: Project) -> dict[str, Any]:
    """Stages by status, open blockers, columns by status."""
    plan = load_plan()
    with PlanState.existing(project.root) as state:
        found = make_board(project, plan, state)
    rows = found.as_dict()
    by_status = dict.fromkeys(LEVELS, 0)
    for standing in found:
        by_status[standing.status] += standing.features
    lanes = {level: [r for r in rows["stages"] if r["status"] == level and r["kind"] != "task"] for level in LEVELS}
    tasks = [r for r in rows["stages"] if r["kind"] == "task"]
    open_blockers = [b for b in rows["blockers"] if b["open"]]
    return {
        "lanes": lanes,
        "tasks": tasks,
        "blockers": open_blockers,
        "columns": by_status,
        "stale": found.stale,
        "plan": plan,
    }


def graph(project: Project) -> dict[str, Any]:
    """The plan's graph, with and without the tasks of Phase 3, and its schedule."""
    plan = load_plan()
    with PlanState.existing(project.root) as state:
        found = make_board(project, plan, state)
    marks = {s.id: s.mark or s.status for s in found}
    parts = []
    for title, kinds in (("Feature stages", ("features", "migration")), ("Phase 3", ("pipeline", "task"))):
        only = [name for name, s in plan.stages.items() if s.kind in kinds]
        parts.append(
            {"title": title, "svg": graph_svg(plan, only, marks, "/stage/{id}"), "schedule": schedule(plan, only)}
        )
    return {"parts": parts, "plan": plan}


def stage(project: Project, name: str) -> dict[str, Any] | None:
    """One stage with its evidence, runs and reports; None for an unknown one."""
    plan = load_plan()
    if name not in plan.stages:
        return None
    with PlanState.existing(project.root) as state:
        found = make_board(project, plan, state)[name]
        history = state.evidence(name) if state is not None else []
        said = {e.id: state.report(e.id) for e in history} if state is not None else {}
        runs = state.runs(name) if state is not None else []
    evidence = [
        {"id": e.id, "level": e.level, "computable": e.computable, "at": known_text(e.made_at)[:19],
         "report": said[e.id][0], "reason": said[e.id][1], "path": said[e.id][2]}
        for e in history
    ]  # fmt: skip
    tables = found.evidence.content.get("tables") if found.evidence else None
    return {
        "stage": plan.stages[name],
        "standing": found,
        "homes": homes_of(name),
        "slot": schedule(plan).slots[name],
        "evidence": evidence,
        "runs": [_run(r) for r in runs],
        "columns": tables["columns"] if tables else [],
    }


def catalogue(project: Project) -> dict[str, Any]:
    """Every column there is."""
    homes = list(project.catalogue.values())
    rows = [describe(home, item) for home in homes for item in home.columns]
    return {"rows": rows, "sizes": count(homes)}


def dataset(project: Project, name: str, query: Mapping[str, str]) -> dict[str, Any] | None:
    """Columns of a dataset, and drawings of values from the store."""
    home = project.catalogue.get(name)
    if home is None:
        return None
    held = project.store.partitions(dataset=name)
    pairs, months = sorted({i.key.pair for i in held}), sorted({i.key.ym for i in held})
    pair = query.get("pair") if query.get("pair") in pairs else (pairs[0] if pairs else "")
    month = query.get("month") if query.get("month") in months else (months[-1] if months else "")
    column = query.get("column") if query.get("column") in home.by_name else ""
    plots = _plots(project, name, str(pair), str(month), [column] if column else _some(home)) if held else []
    return {"home": home, "rows": [describe(home, item) for item in home.columns], "pairs": pairs, "months": months,
            "pair": pair, "month": month, "column": column, "plots": plots}  # fmt: skip


def _some(home: Any) -> list[str]:
    from bqx.ops.family_plot import chosen

    return chosen(home)[:SHOWN]


def _plots(project: Project, name: str, pair: str, month: str, columns: list[str]) -> list[dict[str, str]]:
    import numpy as np

    from bqx.ops.console.lines import line_svg

    held = [i for i in project.store.partitions(dataset=name, pair=pair) if i.key.ym == month]
    if not held:
        return []
    through = held[0].last_minute + 1
    span = max(month_span(month)[0], through - HOURS * 60), through
    table = project.store.read([name], [pair], span, columns).collect()
    minute = table["ts_utc"].to_physical().to_numpy().astype(np.float64)
    out = []
    for column in columns:
        values = table[column].cast(float).fill_null(float("nan")).to_numpy()
        unit = project.catalogue[name].by_name[column].unit
        label = f"{name}.{column} of {pair}, the last {HOURS} hours of {month}"
        out.append({"column": column, "unit": unit, "svg": line_svg(minute, values, label)})
    return out


def health(project: Project) -> dict[str, Any]:
    """Bars, baselines, partitions fresh, stale and missing, the last build, the disk."""
    import shutil

    from bqx.build.disk import human_bytes
    from bqx.build.status import project_status

    found = project_status(project)
    states = []
    for name, months in found["coverage"].items():
        sums = {key: sum(m[key] for m in months.values()) for key in ("fresh", "stale", "missing")}
        states.append({"dataset": name, **sums})
    disk = shutil.disk_usage(project.root)
    return {"status": found, "states": states, "size": human_bytes(found["bytes"]), "free": human_bytes(disk.free)}


def runs(project: Project) -> dict[str, Any]:
    """Runs of stages, the latest first, and of the build."""
    from bqx.build.status import build_status

    with PlanState.existing(project.root) as state:
        found = [_run(r) for r in reversed(state.runs())] if state is not None else []
    return {"runs": found, "build": build_status(project)}


def reports(project: Project) -> dict[str, Any]:
    """Reports of stages with their states, and other pages in the project's `reports` folder."""
    with PlanState.existing(project.root) as state:
        history = state.evidence() if state is not None else []
        said = {e.id: state.report(e.id) for e in history} if state is not None else {}
    rows = [
        {"stage": e.stage, "evidence": e.id, "at": known_text(e.made_at)[:19], "level": e.level,
         "state": said[e.id][0], "reason": said[e.id][1], "path": said[e.id][2]}
        for e in reversed(history)
        if said[e.id][0] != "draft" or said[e.id][1]
    ]  # fmt: skip
    folder = project.root / "reports"
    others = sorted(p.relative_to(project.root).as_posix() for p in folder.rglob("*.html")) if folder.is_dir() else []
    return {"rows": rows, "others": [name for name in others if not name.startswith(FOLDER)]}


def _run(run: Any) -> dict[str, Any]:
    took = "" if run.seconds is None else f"{plain_number(run.seconds, 1)} s"
    return {"stage": run.stage, "run_id": run.run_id, "at": known_text(run.started)[:19], "status": run.status,
            "reason": run.reason, "took": took}  # fmt: skip
