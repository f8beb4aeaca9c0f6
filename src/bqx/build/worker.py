"""What a worker thread does with a task: load, compute, convert, stage. It never touches the manifest's names."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bqx.base.errors import BqxError, DiskError
from bqx.build.executor import Stopped
from bqx.build.fits import NewFit, StoredFits, held_fits
from bqx.build.gather import anchors
from bqx.build.inputs import Inputs
from bqx.build.loader import load_panel
from bqx.build.sanity import check_values
from bqx.build.tables import Lanes, lanes, table
from bqx.build.tasks import Task
from bqx.build.units import Piece, Unit
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.streams import Streams
from bqx.market.calendar import month_span
from bqx.store.contract import Receipt
from bqx.store.partition import PartitionKey

if TYPE_CHECKING:
    import polars as pl

    from bqx.build.project import Project


T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """How a unit ended: receipts to commit, or the reason it failed. seconds : of one core."""

    unit: Unit
    receipts: tuple[Receipt, ...]
    spent: Spent
    attempts: int
    reason: str | None = None
    fits: tuple[NewFit, ...] = ()

    @property
    def seconds(self) -> float:
        return self.spent.load + self.spent.compute + self.spent.fit + self.spent.write


@dataclass(slots=True)
class Spent:
    """Seconds of one core: the unit's share of loading bars, computing values, making fits, writing files. cells : its
    share of bars. compared : values and equations that were checked against bounds and identities."""

    load: float = 0.0
    cells: float = 0.0
    compared: int = 0
    compute: float = 0.0
    fit: float = 0.0
    write: float = 0.0


def run_task(
    project: Project,
    inputs: Inputs,
    task: Task,
    emit: Callable[[Outcome], None],
    *,
    retries: int = 1,
    stop: threading.Event | None = None,
) -> None:
    """Build and stage the units of a task, emitting each as it ends; a failed unit does not stop the others.

    Raises DiskError when the disk is full, for every other unit would fail too.
    """
    halt = stop or threading.Event()
    began = time.perf_counter()
    streams, attempts, reason = _attempt(partial(task_streams, project, inputs, task), retries, halt)
    load = time.perf_counter() - began
    held = Held()
    for unit in task.units:
        if streams is None:
            emit(Outcome(unit, (), Spent(), attempts, reason))
            continue
        share = unit.values / max(task.values, 1)
        spent = Spent(load * share, task.cells * share)
        receipts, tried, why = _attempt(partial(_build, project, streams, task, unit, halt, spent, held), retries, halt)
        made = streams.fits.take() if isinstance(streams.fits, StoredFits) else ()
        spent.fit = sum(new.artefact.seconds for new in made)
        spent.compute = max(spent.compute - spent.fit, 0.0)
        emit(Outcome(unit, receipts or (), spent, tried, why, made))


def _attempt(work: Callable[[], T], retries: int, halt: threading.Event) -> tuple[T | None, int, str | None]:
    """Result, attempts, and the reason when all of them failed."""
    attempt = 0
    while True:
        if halt.is_set():
            raise Stopped
        attempt += 1
        try:
            return work(), attempt, None
        except (Stopped, DiskError):
            raise
        except BqxError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - one unit's bug must not cost the others; it is reported with its unit
            at = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"
        if attempt > retries:
            return None, attempt, reason


def task_streams(project: Project, inputs: Inputs, task: Task) -> Streams:
    """Load the task's bars; streams are computed when a dataset first asks for them."""
    quotes = any("quotes" in inputs.recipes[u.dataset].uses for u in task.units)
    panel = load_panel(project.bars, inputs, task.pairs, task.start, task.end, quotes=quotes)
    with_fits = [u.dataset for u in task.units if project.catalogue[u.dataset].fits]
    fits = StoredFits(inputs, held_fits(project.manifest, with_fits)) if with_fits else None
    return Streams(panel, inputs.calendar, anchors(inputs), fits)


@dataclass
class Held:
    """Values of the dataset a task is at, for its next month. compared : as :func:`check_values` counts them."""

    dataset: str = ""
    typed: Lanes = field(default_factory=dict)
    compared: int = 0


def unit_tables(
    project: Project, streams: Streams, task: Task, unit: Unit, spent: Spent | None = None, held: Held | None = None
) -> Iterator[tuple[Piece, pl.DataFrame]]:
    """Evaluate a dataset over the task's lanes and months, check it, and give each piece's table. held : what the
    month before has left, or is to leave."""
    home = project.catalogue[unit.dataset]
    first = streams.panel.grid.index(month_span(task.ym)[0])
    minute = streams.panel.grid.minute[first:]
    kept = held or Held()
    if kept.dataset != unit.dataset:
        kept.dataset, kept.typed = "", {}
        typed: Lanes = {}
        for part in _parts(home, unit.columns):
            typed |= lanes(home, evaluate(home, streams, part, start_row=first), minute, task.pairs)
        typed = {name: typed[name] for name in unit.columns}
        compared = check_values(home, typed, task.pairs)
        kept.dataset, kept.typed, kept.compared = unit.dataset, typed, compared
    if spent is not None:
        spent.compared, kept.compared = kept.compared, 0
    for piece in unit.pieces:
        rows = slice(int(np.searchsorted(minute, piece.first)), int(np.searchsorted(minute, piece.through, "right")))
        yield piece, table(home, kept.typed, minute, task.pairs.index(piece.pair), rows)


def _parts(home: Dataset, columns: Sequence[str]) -> list[list[str]]:
    """Columns that are held as float64 at a time: a dual dataset's domains one after the other."""
    parts: dict[str, list[str]] = {}
    for name in columns:
        parts.setdefault(home.signal_domain(name), []).append(name)
    return list(parts.values())


def _build(
    project: Project, streams: Streams, task: Task, unit: Unit, halt: threading.Event, spent: Spent, held: Held
) -> tuple[Receipt, ...]:
    home = project.catalogue[unit.dataset]
    simulated = project.simulated
    receipts = []
    spent.compute, spent.write = 0.0, 0.0
    clock = time.perf_counter()
    for piece, rows in unit_tables(project, streams, task, unit, spent, held):
        if halt.is_set():
            raise Stopped
        spent.compute += time.perf_counter() - clock
        clock = time.perf_counter()
        receipts.append(
            project.store.stage(
                PartitionKey(unit.dataset, piece.pair, unit.ym),
                rows,
                input_hash=piece.input_hash,
                code_version=f"{home.version}:{home.code_hash}",
                complete_through=piece.through,
                simulated=simulated,
            )
        )
        spent.write += time.perf_counter() - clock
        clock = time.perf_counter()
    return tuple(receipts)
