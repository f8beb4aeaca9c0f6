"""What a run will take before it begins: seconds by the law of its estimator, and memory."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from bqx.market.calendar import month_span, months_between
from bqx.research.candidate_read import read_blocks
from bqx.research.splits import WEEK
from bqx.research.training.cells import Cell
from bqx.research.training.folder import runs
from bqx.research.training.law import law_of_runs, probe, size_of
from bqx.research.training.order import Order

BASE_BYTES = 500e6
"""Of the program, its libraries and what reading Parquet holds."""
VALUE_BYTES = 20.0
"""A value of a cell's training rows while it is fitted: float32 as read and as stacked, float64 or bins inside."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """core_seconds : of fitting all cells. rows, columns : of the largest. seconds : wall clock on `workers`, reading
    included. law : what the forecast rests on."""

    cells: int
    pairs: int
    rows: int
    columns: int
    core_seconds: float
    read_seconds: float
    seconds: float
    memory_bytes: float
    workers: int
    law: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def forecast(order: Order, cells: Collection[Cell], workers: int) -> Forecast:
    """Of these cells; reads a month of one pair and, unless this project has trained enough, fits a few small cells."""
    if not cells:
        return Forecast(0, 0, 0, 0, 0.0, 0.0, 0.0, BASE_BYTES, workers, "nothing that is left to do")
    law = law_of_runs(runs(order.dataset.project), order.recipe.estimator) or probe(order.recipe)
    head = {"heads": order.recipe.heads, "params": order.recipe.params}
    sizes = [size_of(head, rows_of(order, c), columns_of(order, c)) for c in cells]
    core = [law.seconds(s) for s in sizes]
    pairs = sorted({p for c in cells for p in c.pairs})
    width = max(len(order.masks.union(members, order.folds)) for members in {c.pairs for c in cells})
    bars = order.dataset.splits.end - order.dataset.splits.first
    read = _read_seconds(order, bars) * len(pairs)
    largest = sorted((s.rows * s.columns for s in sizes), reverse=True)[:workers]
    held = kept_rows(order, bars) * width * 4.0 * (len(order.pairs) if order.together else min(2, len(pairs)))
    month = 31 * 1440 * width * 4.0 * 2
    return Forecast(
        cells=len(cells),
        pairs=len(pairs),
        rows=round(max(s.rows for s in sizes)),
        columns=round(max(s.columns for s in sizes)),
        core_seconds=sum(core),
        read_seconds=read,
        seconds=wall(core, read, workers, len(pairs)),
        memory_bytes=BASE_BYTES + held + month + VALUE_BYTES * sum(largest),
        workers=workers,
        law=law.source,
    )


def wall(core: list[float], read: float, workers: int, pairs: int) -> float:
    """Reading one pair runs beside the cells of the one before; only the first is waited for."""
    busy = sum(core) / workers
    first = read / pairs
    return first + max(busy, read - first)


def rows_of(order: Order, cell: Cell) -> float:
    """Training rows of a cell: those of its window that are not within h bars of a weekly close."""
    fold = order.spans[cell.fold]
    each = (fold.train_end - fold.train_start) / order.spacing[cell.horizon] * (1.0 - cell.horizon / WEEK)
    return each * len(cell.pairs)


def columns_of(order: Order, cell: Cell) -> int:
    """Columns of a cell, with one a pair that says whose row it is in a model of several."""
    return len(order.masks.numbers(cell.pairs, cell.fold)) + (len(cell.pairs) if order.together else 0)


def kept_rows(order: Order, bars: int) -> float:
    """Minutes of a pair whose features stay in memory."""
    share = 1.0 / order.settings.every + sum(1.0 / s for s in set(order.spacing.values()))
    return bars * min(share, 1.0)


def _read_seconds(order: Order, bars: int) -> float:
    """Of one pair, from reading one month of it."""
    dataset, project = order.dataset, order.dataset.project
    numbers = order.masks.union(order.pairs[:1], order.folds)
    months = months_between(dataset.start, dataset.end)
    low, high = month_span(months[len(months) // 2])
    low, high = max(low, dataset.start), min(high, dataset.sealed_from)
    calendar = project.calendar
    span = calendar.ordinal(high) - calendar.ordinal(low)
    if span <= 0:
        return 0.0
    chosen = [dataset.candidates[k] for k in numbers]
    began = time.perf_counter()
    for _ in read_blocks(project.store, calendar, order.pairs[0], low, high, chosen, dataset.as_of):
        pass
    return (time.perf_counter() - began) * bars / span
