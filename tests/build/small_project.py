"""What the tests of the build share."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from bqx.build.project import Project
from bqx.market.calendar import minute_of
from bqx.market.simulated import simulated_source

PAIRS = ("eurusd", "gbpusd", "usdjpy")
START = minute_of(datetime(2024, 6, 24, tzinfo=UTC))
END = minute_of(datetime(2024, 7, 11, tzinfo=UTC))


def fill(project: Project, frames: dict[str, pl.DataFrame]) -> Project:
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame, simulated_source(7))
    return project


def contents(project: Project) -> dict[str, str]:
    """Partition name -> hash of its file's bytes."""
    return {i.name: i.pieces[0].file_hash for i in project.store.partitions()}
