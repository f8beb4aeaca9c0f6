"""Bars for the demo: a simulated market, or files of the user's, both judged by the same validation."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bqx.base.config import CONFIG_NAME
from bqx.base.errors import BqxError, UsageError
from bqx.build.project import Project
from bqx.build.stores import MANIFEST_NAME
from bqx.features.catalogue import datasets, earliest
from bqx.market.calendar import Calendar, month_of, month_span
from bqx.market.clock import establish
from bqx.market.fileclock import FileClock
from bqx.market.findings import ImportReport
from bqx.market.importers.plan import plan_jobs
from bqx.market.importers.raw import RawBars, as_raw
from bqx.market.importers.read import ReadOptions
from bqx.market.importers.text import Text
from bqx.market.pairs import parse_pair
from bqx.market.simulated import Flavour, simulate, simulated_source
from bqx.market.validate import validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIRST_MONTH = "2024_07"
"""The first month a simulated demo builds; its history begins earlier, for the warm-up."""


@dataclass(frozen=True)
class Bars:
    """An open project that holds the bars, their validation, the months to build, and how they were simulated."""

    project: Project
    reports: tuple[ImportReport, ...]
    months: tuple[str, ...]
    simulation: dict[str, Any] | None

    @property
    def count(self) -> int:
        return sum(report.bars for report in self.reports)


def simulated_bars(root: Path, pairs: Sequence[str], seed: int, flavour: Flavour, months: int) -> Bars:
    """`months` months from FIRST_MONTH, preceded by what the slowest column must see and one week more."""
    names = tuple(sorted({parse_pair(p).name for p in pairs}))
    project = _project(root, names)
    source = simulated_source(seed, flavour)
    for held in project.bars.sources():
        if {key: held.get(key) for key in source} != source:
            project.close()
            raise UsageError(
                "the folder holds a demo of other bars",
                where=str(root),
                fix="give another --out, or delete the folder",
            )
    first, wanted = month_span(FIRST_MONTH)[0], [FIRST_MONTH]
    while len(wanted) < months:
        wanted.append(month_of(month_span(wanted[-1])[1]))
    seen = min(earliest(home, first, project.calendar) for home in datasets().values())
    start, end = project.calendar.segment_start(seen - 1), month_span(wanted[-1])[1]
    made = simulate(project.calendar, start, end, seed=seed, flavour=flavour, pairs=names)
    reports = []
    for pair, frame in made.items():
        reports.append(judge(pair, frame, project.calendar))
        project.bars.ingest(pair, frame, source)
    return Bars(project, tuple(reports), tuple(wanted), source)


def judge(pair: str, frame: pl.DataFrame, calendar: Calendar) -> ImportReport:
    """Put simulated bars through the validation that files go through; a row's line is its number."""
    raw = RawBars(
        pair,
        "simulated",
        "mid of bid+ask",
        (Text(f"simulated {pair}", Path(pair), pair, b"", "", 0),),
        as_raw(
            frame.with_row_index("line", 1).with_columns(
                file=pl.lit(0), stamp=pl.col("ts_utc").dt.replace_time_zone(None)
            )
        ),
    )
    minutes: NDArray[np.int64] = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    clock = establish(minutes, FileClock.utc(), locate=raw.locate)
    return validate(raw, clock, calendar).report


def bars_of_files(
    root: Path, paths: Sequence[Path], pair: str | None, options: ReadOptions, months: int | None
) -> Bars:
    """The user's files, imported with report and quarantine; the last `months` months are built, or all of them.

    Files that cannot be used raise, and leave no project where there was none.
    """
    from bqx.build.importing import import_bars

    jobs = plan_jobs(paths, pair=pair)
    names = tuple(sorted({job.pair for job in jobs}))
    fresh = not root.exists()
    project = _project(root, names)
    try:
        done = import_bars(project, jobs, options)
    except BqxError:
        project.close()
        if fresh:
            shutil.rmtree(root)
        raise
    held = sorted({row["ym"] for row in project.bars.months()})
    return Bars(project, done.reports, tuple(held[-months:] if months else held), None)


def _project(root: Path, pairs: Sequence[str]) -> Project:
    """The project of an earlier demo, or a new one; UsageError when it holds other pairs."""
    if not (root / CONFIG_NAME).exists() and not (root / MANIFEST_NAME).exists():
        return Project.create(root, name="demo", pairs=pairs)
    project = Project.open(root)
    if project.pairs != tuple(pairs):
        project.close()
        raise UsageError(
            f"the folder holds a demo of {len(project.pairs)} pairs, this one has {len(pairs)}: {', '.join(pairs[:4])}",
            where=str(root),
            fix="give another --out, or delete the folder",
        )
    return project
