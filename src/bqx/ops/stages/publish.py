"""Draft, verified, published: a report is written only when its sums add up and its numbers have a source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bqx.base.errors import BqxError, ReportError
from bqx.base.provenance import Number
from bqx.base.report import Badge, KeyValues, Report, Table
from bqx.ops.plan.model import Plan
from bqx.ops.stages.report import stage_report
from bqx.ops.stages.state import Evidence, PlanState
from bqx.ops.stages.tracking import tracker_says

if TYPE_CHECKING:
    from bqx.build.project import Project

FOLDER = "reports/stages"
_LOOKS_NUMERIC = re.compile(r"[-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?\s*%?", re.IGNORECASE)


def publish(project: Project, plan: Plan, state: PlanState, evidence: Evidence) -> tuple[str, str, str]:
    """Render, verify and write the report of an evidence; its state, the reason it went no further, and its path.

    A report that cannot be verified stays a draft and nothing is written; one that the tracker contradicts stays
    verified.
    """
    stem = f"{FOLDER}/stage-{evidence.stage.replace('.', '-')}"
    state.put_report(evidence.id, "draft")
    try:
        report = stage_report(evidence)
        verify_report(report)
    except BqxError as error:
        state.put_report(evidence.id, "draft", error.what)
        return state.report(evidence.id)
    if reason := tracker_says(project, plan, state, evidence):
        state.put_report(evidence.id, "verified", reason)
        return state.report(evidence.id)
    folder, _, name = stem.rpartition("/")
    report.write(project.root / folder, name)
    state.put_report(evidence.id, "published", "", f"{stem}.html")
    return state.report(evidence.id)


def verify_report(report: Report) -> None:
    """Raise ReportError for a number that does not say where it comes from; sums are demanded while it is made."""
    for block in report.blocks:
        if isinstance(block, Table):
            for number, row in enumerate(block.rows, start=1):
                for column, cell in zip(block.columns, row, strict=True):
                    _demand(cell, f"table {block.caption or block.columns[0]!r}, row {number}, column {column!r}")
        elif isinstance(block, KeyValues):
            for key, cell in block.items:
                _demand(cell, f"value {key!r}")


def _demand(cell: object, where: str) -> None:
    if isinstance(cell, Number):
        if cell.source.run_id and cell.source.how:
            return
        raise ReportError(f"the number {cell.value} has no source", where=where, fix="say how it was computed")
    text = cell.text if isinstance(cell, Badge) else cell
    typed = isinstance(text, int | float) and not isinstance(text, bool)
    if typed or (isinstance(text, str) and _LOOKS_NUMERIC.fullmatch(text.strip())):
        raise ReportError(
            f"{text!r} is a number without provenance", where=where, fix="make it a Number with its source"
        )
