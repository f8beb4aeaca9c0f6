"""Paths to bars: detect, parse, judge the clock, validate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import InputError
from bqx.market.calendar import Calendar
from bqx.market.clock import establish
from bqx.market.fileclock import FileClock
from bqx.market.findings import ImportReport
from bqx.market.importers.plan import Job, plan_jobs
from bqx.market.source import SourceFile, SourceRecord
from bqx.market.validate import validate


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """clock: of the files, None to find it. trust: keep it against the evidence. crossed: see `validate`.

    vendor, licence: as the user states them; without a vendor it is the format and venue.
    """

    clock: FileClock | None = None
    trust: bool = False
    crossed: str = "shallow"
    vendor: str | None = None
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class SourceBars:
    """frame: BARS_SCHEMA, sorted, unique; quarantine: QUARANTINE_SCHEMA."""

    pair: str
    frame: pl.DataFrame
    report: ImportReport
    quarantine: pl.DataFrame
    source: SourceRecord


def read_job(job: Job, calendar: Calendar, options: ReadOptions) -> SourceBars:
    """One pair's bars; raises InputError or ClockError naming file and line."""
    raw = job.read()
    known = raw.clock or (FileClock.utc() if raw.stated is not None else None)
    stamps = _ascending(raw.rows["stamp"].to_physical().to_numpy() // 60_000_000)
    if not len(stamps):
        raise InputError(
            f"all {raw.frame.height:,} candles are padding: flat, without volume, at the price before",
            where=raw.texts[0].name,
            fix="give files of days with trading",
        )
    clock = establish(
        stamps,
        options.clock or known,
        stated=raw.clock_by if known and options.clock is None else "",
        trust=options.trust,
        locate=raw.locate,
    )
    done = validate(raw, clock, calendar, crossed=options.crossed)
    source = SourceRecord(
        vendor=options.vendor or job.vendor,
        format=raw.format,
        price_side=raw.price_side,
        licence=options.licence,
        files=tuple(SourceFile(t.path.name, t.sha256, t.size) for t in raw.texts),
        clock=clock.as_dict(),
    )
    return SourceBars(job.pair, done.bars, done.report, done.quarantine, source)


def _ascending(minutes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorted and unique; nearly always they are already."""
    if (np.diff(minutes) > 0).all():
        return minutes
    ordered = np.sort(minutes)
    out: NDArray[np.int64] = ordered[np.r_[True, np.diff(ordered) > 0]]
    return out


def read_source(
    paths: Sequence[Path],
    calendar: Calendar,
    *,
    format: str = "auto",
    pair: str | None = None,
    options: ReadOptions | None = None,
) -> list[SourceBars]:
    """All pairs of some files and folders."""
    chosen = options or ReadOptions()
    return [read_job(job, calendar, chosen) for job in plan_jobs(paths, format=format, pair=pair)]
