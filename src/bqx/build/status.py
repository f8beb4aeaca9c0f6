"""What a project holds: bars, baselines, coverage, what is missing or stale, who builds, how the last run went."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from bqx.build.baseline import missing_note
from bqx.build.choice import Choice
from bqx.build.gather import gather
from bqx.build.lease import holder
from bqx.build.ledger import Ledger
from bqx.build.planner import survey
from bqx.market.calendar import datetime_of

if TYPE_CHECKING:
    from bqx.build.project import Project


def project_status(project: Project) -> dict[str, Any]:
    """JSON-able; `coverage` counts partitions a dataset and month as fresh, stale or missing."""
    inputs, _ = gather(project)
    held = project.store.partitions(as_of=project.as_of)
    coverage: dict[str, dict[str, dict[str, int]]] = {}
    total: Counter[str] = Counter()
    wanted: set[tuple[str, str, str]] = set()
    for dataset, ym, pieces in survey(inputs, held, Choice()):
        counts = Counter(piece.state for piece in pieces)
        total.update(counts)
        wanted.update((dataset, piece.pair, ym) for piece in pieces)
        coverage.setdefault(dataset, {})[ym] = {state: counts[state] for state in ("fresh", "stale", "missing")}
    extra = [info.name for info in held if (info.key.dataset, info.key.pair, info.key.ym) not in wanted]
    without = [pair for pair in inputs.spans if pair not in inputs.baselines]
    files = {piece.path: piece.bytes for info in held for piece in info.pieces}
    return {
        "name": project.config.project.name,
        "path": str(project.root),
        "simulated": project.simulated,
        "pairs": list(project.pairs),
        "pairs_without_bars": [pair for pair in project.pairs if pair not in inputs.spans],
        "bars": {pair: {"first": _iso(a), "last": _iso(b)} for pair, (a, b) in inputs.spans.items()},
        "bar_rows": sum(int(month["rows"]) for month in project.bars.months(as_of=project.as_of)),
        "calendar": project.calendar.version,
        "t0": _iso(inputs.t0) if inputs.t0 is not None else None,
        "notes": [missing_note(without, inputs.t0)] if without and inputs.t0 is not None else [],
        "partitions": {"held": len(held), **{state: total[state] for state in ("fresh", "stale", "missing")}},
        "not_wanted": extra,
        "bytes": sum(files.values()),
        "coverage": coverage,
        "build": build_status(project),
    }


def build_status(project: Project) -> dict[str, Any]:
    """The holder of the lease, the last run, and the units whose latest attempt failed."""
    ledger = Ledger(project.manifest)
    found, run = holder(project.manifest), ledger.last_run()
    if run is not None and run["status"] == "running" and (found is None or found.run_id != run["run_id"]):
        run = {**run, "status": "killed"}
    return {"lease": str(found) if found else None, "last_run": run, "failures": ledger.failures()}


def _iso(minute: int) -> str:
    return datetime_of(minute).isoformat(timespec="minutes").replace("+00:00", "Z")
