"""Files to bars of a project: everything is read and judged before the first bar is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bqx.base.atomic import write_text
from bqx.base.errors import ClockError, StoreError, Unsupported, UsageError
from bqx.base.report import Cell, Heading, Table, Text
from bqx.build.project import Project
from bqx.market.bars import BARS_SCHEMA
from bqx.market.calendar import datetime_of
from bqx.market.clockmatch import match_offset
from bqx.market.fileclock import FileClock
from bqx.market.findings import ImportReport
from bqx.market.importers.plan import Job
from bqx.market.importers.read import ReadOptions, SourceBars, read_job
from bqx.market.importreport import render
from bqx.store.ingest import IngestResult
from bqx.store.merge import Overlap

_RULES: dict[Overlap, str] = {
    "refuse": "refuse, unless they are the same or this source's own",
    "newest": "newest, the bars of this import win",
    "keep": "keep, they stay and this import fills minutes that had none",
    "replace": "replace, within its span this import takes their place",
}
HELD_ROWS = 4_000_000
"""Rows kept in memory between judging and storing (about 450 MB); pairs beyond are read a second time."""


@dataclass(frozen=True, slots=True)
class Imported:
    """results: None for a dry run. folder: where report and quarantine are, None for a dry run."""

    import_id: str
    reports: tuple[ImportReport, ...]
    results: dict[str, IngestResult] | None
    folder: Path | None
    overlap: Overlap = "refuse"

    def as_dict(self) -> dict[str, Any]:
        return {
            "import_id": self.import_id,
            "dry_run": self.results is None,
            "overlap": self.overlap,
            "folder": str(self.folder) if self.folder else None,
            "stored": {pair: asdict(result) for pair, result in (self.results or {}).items()},
            "pairs": [report.as_dict() for report in self.reports],
        }


def import_bars(
    project: Project,
    jobs: Sequence[Job],
    options: ReadOptions,
    *,
    policy: Overlap = "refuse",
    dry_run: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Imported:
    """Store the bars of `jobs`, one pair after the other; doing it again changes nothing, a killed import goes on.

    Raises before anything is stored: InputError and ClockError for the files, UsageError for two sources of one
    pair, StoreError for bars that differ from another source's.
    """
    _one_source_a_pair(project, jobs)
    held: dict[str, SourceBars] = {}
    reports, quarantine, rows, identity = [], [], 0, []
    for job in jobs:
        done = read_and_judge(project, job, options)
        _refuse_overlap(project, done, policy)
        tell(f"{job.name}: {done.report.bars:,} bars, {done.report.quarantined:,} in quarantine")
        reports.append(done.report)
        quarantine.append(done.quarantine)
        identity.append([job.pair, _record(done, policy), options.crossed])
        rows += done.frame.height
        if rows <= HELD_ROWS:
            held[job.pair] = done
    import_id = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    if dry_run:
        return Imported(import_id, tuple(reports), None, None, policy)
    results = {}
    for job in jobs:
        done = held.pop(job.pair) if job.pair in held else read_and_judge(project, job, options)
        results[job.pair] = project.bars.ingest(job.pair, done.frame, _record(done, policy), policy=policy)
    folder = project.root / "imports" / import_id
    out = Imported(import_id, tuple(reports), results, folder, policy)
    write_reports(out, pl.concat(quarantine), folder)
    return out


def _record(done: SourceBars, overlap: Overlap) -> dict[str, Any]:
    """The source as the registry keeps it, with the rule it was merged by."""
    return {**done.source.as_dict(), "overlap": overlap}


def write_reports(done: Imported, quarantine: pl.DataFrame, folder: Path) -> None:
    """report.json, report.md, report.html and quarantine.csv, each written whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    page = render(done.reports, f"Import {done.import_id}")
    if done.results:
        names = ("new", "unchanged", "corrected", "kept", "removed")
        rows: list[list[Cell]] = [
            [pair.upper(), *(getattr(result, n) for n in names)] for pair, result in done.results.items()
        ]
        page.add(Heading("What was stored"))
        page.add(Text(f"Where bars were there already: {_RULES[done.overlap]}."))
        page.add(Table(["pair", *names], rows))
    write_text(folder / "quarantine.csv", quarantine.write_csv())
    write_text(folder / "report.html", page.html())
    write_text(folder / "report.md", page.markdown())
    write_text(folder / "report.json", json.dumps(done.as_dict(), indent=2, allow_nan=False) + "\n")


def read_and_judge(project: Project, job: Job, options: ReadOptions) -> SourceBars:
    """Like `read_job`; when the clock is unknown, bars the project has of the pair may tell it."""
    try:
        return read_job(job, project.calendar, options)
    except ClockError as error:
        hint = _clock_by_returns(project, job)
        if hint is None:
            raise
        raise ClockError(error.what, where=error.where, fix=f"{hint}; without it: {error.fix}") from error


def _clock_by_returns(project: Project, job: Job) -> str | None:
    raw = job.read().frame.filter(pl.col("issue").is_null()).unique("stamp", keep="last").sort("stamp")
    minutes = raw["stamp"].to_physical().to_numpy() // 60_000_000
    if not len(minutes):
        return None
    known = project.bars.read([job.pair], int(minutes[0]) - 900, int(minutes[-1]) + 900)[job.pair]
    known_minutes = known["ts_utc"].to_physical().to_numpy() // 60_000_000
    found = match_offset(minutes, raw["close"].to_numpy(), known_minutes, known["close"].to_numpy())
    if found is None:
        return None
    return (
        f"--{FileClock.fixed(found.offset).option} (there the 1-minute returns agree with the project's bars of "
        f"{job.pair}: correlation {found.correlation:.2f} over {found.bars:,} minutes, elsewhere at most "
        f"{found.rival:.2f})"
    )


def _one_source_a_pair(project: Project, jobs: Sequence[Job]) -> None:
    if project.as_of is not None:
        raise Unsupported("a project opened as of an earlier time cannot be changed", fix="open it without as_of")
    seen: dict[str, Job] = {}
    for job in jobs:
        if job.pair in seen:
            raise UsageError(
                f"two sources of {job.pair} in one call: {seen[job.pair].paths[0]} and {job.paths[0]}",
                fix="import one after the other, the second with --overlap newest, keep or replace",
            )
        if job.pair not in project.pairs:
            raise UsageError(
                f"{job.pair} is not among the project's {len(project.pairs)} pairs",
                where=str(job.paths[0]),
                fix="add it to project.pairs in bqx.toml",
            )
        seen[job.pair] = job


def _refuse_overlap(project: Project, done: SourceBars, policy: Overlap) -> None:
    """Another source's bars in the same span must be the same bars."""
    vendors = {s["vendor"] for s in project.bars.sources() if s["pair"] == done.pair}
    first, last = (int(done.frame["ts_utc"].to_physical()[k]) // 60_000_000 for k in (0, -1))
    if not vendors or done.source.vendor in vendors or policy != "refuse":
        return
    known = project.bars.read([done.pair], first, last + 1)[done.pair]
    if known.is_empty():
        return
    values = [c for c in BARS_SCHEMA if c != "ts_utc"]
    both = known.join(done.frame, on="ts_utc", suffix="_new")
    same = both.select(pl.all_horizontal([pl.col(c).eq_missing(pl.col(f"{c}_new")) for c in values]).sum()).item()
    if both.height == known.height and same == both.height:
        return
    a, b = (f"{when:%Y-%m-%d %H:%M}" for when in (known["ts_utc"][0], known["ts_utc"][-1]))
    raise StoreError(
        f"{done.pair} has {known.height:,} bars of {', '.join(sorted(vendors))} from {a} to {b} (UTC); these of "
        f"{done.source.vendor} share {both.height:,} minutes, {both.height - same:,} of them with other values",
        where=done.report.files[0],
        fix="use another project, or --overlap newest (these win), keep (the stored ones stay) or replace (these take "
        "their place); the old bars stay readable with --as-of",
    )


def list_bars(project: Project) -> list[dict[str, Any]]:
    """One record a pair: span (ISO), bars, months, versions, vendors, simulated."""
    out: dict[str, dict[str, Any]] = {}
    for month in project.bars.months(as_of=project.as_of):
        row = out.setdefault(
            month["pair"],
            {"pair": month["pair"], "first": month["first_minute"], "bars": 0, "months": 0, "versions": 0,
             "simulated": False},
        )  # fmt: skip
        row["last"] = month["last_minute"]
        row["bars"] += month["rows"]
        row["months"] += 1
        row["versions"] = max(row["versions"], month["versions"])
        row["simulated"] |= month["simulated"]
    for source in project.bars.sources(as_of=project.as_of):
        if source["pair"] in out:
            found = out[source["pair"]].setdefault("sources", [])
            if source["vendor"] not in found:
                found.append(source["vendor"])
    for piece in project.bars.pieces(as_of=project.as_of):
        row = out[piece.pop("pair")]
        row.setdefault("pieces", []).append(piece)
    for row in out.values():
        row["first"], row["last"] = (datetime_of(row[k]).isoformat() for k in ("first", "last"))
    return list(out.values())
