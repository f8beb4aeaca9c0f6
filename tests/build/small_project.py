"""What the tests of the build share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

import polars as pl

from bqx.build.progress import Silent
from bqx.build.project import Project
from bqx.build.worker import Outcome
from bqx.market.calendar import minute_of
from bqx.market.simulated import simulated_source

PAIRS = ("eurusd", "gbpusd", "usdjpy")
START = minute_of(datetime(2024, 6, 24, tzinfo=UTC))
END = minute_of(datetime(2024, 7, 11, tzinfo=UTC))
REMOTE = ("time_dual", "returns_raw_rate", "correlation_rate", "hmm_regime_dual")
"""Built by workers in other processes: integers, floats, a panel, fits. Each worker loads the kernels of each."""


def fill(project: Project, frames: dict[str, pl.DataFrame]) -> Project:
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame, simulated_source(7))
    return project


def contents(project: Project, datasets: Collection[str] = ()) -> dict[str, str]:
    """Partition name -> hash of its file's bytes; of all datasets, or some."""
    found = project.store.partitions()
    return {i.name: i.pieces[0].file_hash for i in found if not datasets or i.key.dataset in datasets}


class Killer(Silent):
    """Strikes when so many units have been committed; `seen` counts them."""

    def __init__(self, strikes: Mapping[int, Callable[[], None]]) -> None:
        self.strikes, self.seen = strikes, 0

    def advance(self, outcome: Outcome) -> None:
        super().advance(outcome)
        self.seen += outcome.reason is None
        if outcome.reason is None and self.seen in self.strikes:
            self.strikes[self.seen]()
