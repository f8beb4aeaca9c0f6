"""What the backtest of a run reads: its forecasts, and the bars as its dataset knew them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import BacktestInputError
from bqx.market.calendar import Calendar
from bqx.research.backtest.forecasts import Forecasts
from bqx.research.backtest.market import Feed
from bqx.research.backtest.settings import Settings
from bqx.research.dataset import Dataset
from bqx.research.dataset import names as dataset_names
from bqx.research.training.folder import Run
from bqx.research.training.quarantine import check_quarantine

if TYPE_CHECKING:
    from bqx.build.project import Project

I8 = NDArray[np.int64]
SPARE = 60
"""Minutes of bars read after the last exit, for exits that wait out a gap."""


@dataclass(frozen=True)
class Inputs:
    """What a backtest reads: tables of forecasts, the feed of bars, and the ends of their time in minutes."""

    tables: list[Forecasts]
    feed: Feed
    dataset: Dataset | None


def inputs(project: Project, run: Run, settings: Settings) -> Inputs:
    """Forecasts of the wanted horizons and the bars as the dataset knew them. Rows whose exit would need bars beyond
    the seal or the last bar are left out. Quarantined runs are refused, BacktestInputError when nothing is left."""
    check_quarantine(run)
    wanted = settings.horizons or run.horizons
    if absent := set(wanted) - set(run.horizons):
        raise BacktestInputError(f"run {run.name} has no horizon {sorted(absent)[0]}",
                                 fix=f"it has {', '.join(map(str, run.horizons))}")  # fmt: skip
    tables = [Forecasts.of_table(p, h, run.forecasts(p, h)) for p, h in run.tables() if h in wanted]
    if not tables:
        raise BacktestInputError(f"run {run.name} has no forecasts at these horizons", where=str(run.folder))
    dataset = _dataset(project, run)
    as_of = project.as_of if dataset is None else dataset.as_of
    pairs = tuple(dict.fromkeys(t.pair for t in tables))
    spans = project.bars.spans(as_of)
    if absent_pairs := [p for p in pairs if p not in spans]:
        raise BacktestInputError(f"there are no bars of {', '.join(absent_pairs)}",
                                 fix="import the bars that the dataset was made of")  # fmt: skip
    end = max(spans[p][1] for p in pairs) + 1
    end = end if dataset is None else min(end, dataset.sealed_from)
    wait = settings.costs.bars + 2
    tables = [t.take(t.minute + t.horizon + wait < end) for t in tables]
    tables = [t for t in tables if len(t)]
    if not tables:
        raise BacktestInputError("no forecast has bars after it", fix="import the bars that the dataset was made of")
    first = min(int(t.minute[0]) for t in tables)
    last = max(int(t.minute[-1]) + t.horizon for t in tables) + wait + SPARE

    def read(names: Any, start: int, stop: int) -> Mapping[str, pl.DataFrame]:
        return project.bars.read(names, start, stop, as_of)

    pairs = tuple(dict.fromkeys(t.pair for t in tables))
    feed = Feed(read, project.calendar, pairs, first, min(last, end), settings.cost_bps)
    return Inputs(tables, feed, dataset)


def _dataset(project: Project, run: Run) -> Dataset | None:
    """The run's dataset when it still is what the run was trained on."""
    name = str(run.head["dataset"])
    if name not in dataset_names(project.root):
        return None
    found = Dataset.open(project, name)
    return found if found.hash == run.head["dataset_hash"] else None


def trade_days(tables: list[Forecasts], calendar: Calendar) -> I8:
    """Open trade days from that of the first decision to that of the last horizon's end."""
    first = min(int(t.minute[0]) for t in tables)
    last = max(int(t.minute[-1]) + t.horizon for t in tables)
    return np.unique(calendar.grid(first, last + 1).day).astype(np.int64)
