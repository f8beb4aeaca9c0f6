"""Cells on the threads of this process: rows of the next pair are read while this pair's models are fitted.

On another engine: see `apart`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bqx.base.errors import BqxError
from bqx.base.runlog import event
from bqx.build.executor import Executor
from bqx.research.training.cell_fit import Done, fit_cell
from bqx.research.training.cells import Cell, Kept
from bqx.research.training.one_thread import one_thread
from bqx.research.training.rows import PairRows
from bqx.research.trials import Trials

if TYPE_CHECKING:
    from bqx.research.training.order import Order


Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """A cell that gave no result."""

    cell: str
    attempts: int
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def work(
    order: Order, kept: Kept, *, workers: int, retries: int, note: Note, engine: str | Executor = "threads"
) -> list[Failure]:
    """Fit every cell that has no receipt; the calling thread alone writes ledger and receipts.

    A cell that fails is tried `retries` times more, unless bqx itself says why it cannot be; then it is reported and
    the rest goes on. What a cell gives does not depend on `workers` and `engine`.
    """
    from bqx.research.training.apart import outcomes  # which fits cells by what is in this file

    ledger = Trials(order.dataset.project.root)
    groups = [left for cells in order.groups.values() if (left := [c for c in cells if not kept.receipt(c)])]
    total, clock = sum(len(cells) for cells in groups), _Clock()
    failures: list[Failure] = []
    if engine == "threads":
        source = _here(order, groups, workers, retries)
    else:
        source = outcomes(order, groups, engine, workers, retries, note)
    with closing(source):
        for cell, outcome in source:
            if isinstance(outcome, Failure):
                failures.append(outcome)
                event("train.cell_failed", level="warning", **outcome.as_dict())
            else:
                done, attempts = outcome
                ledger.record(done.trials)
                times = {"seconds": round(done.seconds, 3), "attempts": attempts}
                kept.write(done.cell, done.tables, done.facts, times)
                event("train.cell", cell=done.cell.name, seconds=times["seconds"], attempts=attempts)
            note(clock.line(cell, total, outcome))
    return sorted(failures, key=lambda f: f.cell)


def _here(
    order: Order, groups: Sequence[Sequence[Cell]], workers: int, retries: int
) -> Generator[tuple[Cell, tuple[Done, int] | Failure]]:
    with one_thread(), ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(workers) as pool:
        ahead: Future[dict[str, PairRows]] | None = None
        for k, cells in enumerate(groups):
            rows = (ahead or reader.submit(read_group, order, cells)).result()
            ahead = reader.submit(read_group, order, groups[k + 1]) if k + 1 < len(groups) else None
            futures = {pool.submit(attempt, order, c, rows, retries): c for c in cells}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                for future in futures:
                    future.cancel()
            del rows


def read_group(order: Order, cells: Sequence[Cell]) -> dict[str, PairRows]:
    """Rows of every pair of a group, with all columns that its cells need."""
    pairs = cells[0].pairs
    spacing = {h: order.spacing[h] for h in sorted({c.horizon for c in cells})}
    numbers = order.masks.union(pairs, sorted({c.fold for c in cells}))
    return {p: PairRows.read(order.dataset, p, numbers, spacing, order.settings.every) for p in pairs}


def attempt(order: Order, cell: Cell, rows: Mapping[str, PairRows], retries: int) -> tuple[Done, int] | Failure:
    """Fit a cell; what kept it from being fitted when it could not be."""
    for number in range(1, retries + 2):
        try:
            return fit_cell(order, cell, rows), number
        except BqxError as error:
            return Failure(cell.name, number, str(error))
        except Exception as error:  # noqa: BLE001 - whatever one cell dies of, the others go on and the report says it
            if number > retries:
                return Failure(cell.name, number, f"{type(error).__name__}: {error}")
    raise AssertionError("unreachable")


class _Clock:
    """Time left, from how many cells took how long so far."""

    def __init__(self) -> None:
        self.began, self.done = time.perf_counter(), 0

    def line(self, cell: Cell, total: int, outcome: tuple[Done, int] | Failure) -> str:
        self.done += 1
        left = (time.perf_counter() - self.began) / self.done * (total - self.done)
        more = f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left" if left else ""
        if isinstance(outcome, Failure):
            return f"{self.done} of {total} cells: {cell.name} FAILED: {outcome.reason}{more}"
        return f"{self.done} of {total} cells: {cell.name}, {outcome[0].seconds:.1f} s{more}"
