"""The difference between what the store should hold and what it holds, as units of work."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bqx.base.errors import UsageError
from bqx.build.choice import Choice
from bqx.build.costs import Costs, shipped
from bqx.build.inputs import Inputs, Recipe, difference
from bqx.build.tasks import Task, make_tasks
from bqx.build.units import Piece, State, Unit
from bqx.market.calendar import month_of, months_between
from bqx.store.partition import PartitionKey

if TYPE_CHECKING:
    from bqx.store.contract import PartitionInfo


@dataclass(frozen=True)
class Plan:
    """Units that need work, in the order of building, as tasks, and the count of fresh partitions.

    costs : what the forecast is made from. guessed : datasets of which nothing was measured.
    """

    units: tuple[Unit, ...]
    tasks: tuple[Task, ...]
    fresh: int
    threads: int
    costs: Costs
    guessed: tuple[str, ...]

    @property
    def partitions(self) -> int:
        return sum(len(unit.pieces) for unit in self.units)

    @property
    def values(self) -> int:
        return sum(unit.values for unit in self.units)

    @property
    def bytes(self) -> int:
        return sum(unit.bytes for unit in self.units)

    @property
    def seconds(self) -> float:
        """Wall clock: tasks in their order, each to the thread that is free first."""
        free = [0.0] * max(self.threads, 1)
        for task in self.tasks:
            heapq.heapreplace(free, free[0] + task.seconds(self.costs.load_ns))
        return max(free)

    @property
    def memory(self) -> int:
        """Most bytes this process will hold: the largest tasks side by side."""
        largest = sorted((task.bytes for task in self.tasks), reverse=True)[: max(self.threads, 1)]
        return int(self.costs.resident_bytes + self.costs.memory_factor * sum(largest))

    @property
    def basis(self) -> str:
        """Where the forecast's figures come from, in words."""
        few = f"; {len(self.guessed)} datasets never measured" if self.guessed else ""
        return self.costs.origin + few

    def as_dict(self) -> dict[str, Any]:
        return {
            "units": [unit.as_dict() for unit in self.units],
            "partitions": self.partitions,
            "fresh": self.fresh,
            "values": self.values,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 2),
            "memory": self.memory,
            "rates": self.basis,
            "threads": self.threads,
        }


def survey(
    inputs: Inputs, held: Sequence[PartitionInfo], choice: Choice, *, force: bool = False
) -> Iterator[tuple[str, str, list[Piece]]]:
    """(dataset, month, pieces) for all that is wanted, fresh or not, in the order of building."""
    by_key = {info.key: info for info in held}
    datasets = _wanted(choice.datasets, inputs.recipes, "dataset")
    pairs = _wanted(choice.pairs, inputs.pairs, "pair")
    for ym in wanted_months(inputs, choice):
        for dataset in datasets:
            columns = tuple(inputs.recipes[dataset].columns)
            pieces = []
            for pair in pairs:
                span = inputs.row_span(pair, ym)
                if span is None:
                    continue
                digest = inputs.input_hash(dataset, pair, ym)
                state, reason = _judge(by_key.get(PartitionKey(dataset, pair, ym)), digest, columns, force)
                pieces.append(Piece(pair, *span, inputs.rows(*span), digest, state, reason))
            if pieces:
                yield dataset, ym, pieces


def make_plan(
    inputs: Inputs,
    held: Sequence[PartitionInfo],
    choice: Choice,
    *,
    costs: Costs | None = None,
    memory: int = 1 << 62,
    threads: int = 1,
    force: bool = False,
) -> Plan:
    """Compare the hash of each wanted partition's inputs with the one it was built from. `force` builds all.

    memory : bytes that the tasks of all threads may hold.
    """
    costs = costs or shipped()
    guessed: set[str] = set()
    by_key = {info.key: info for info in held}
    units, fresh = [], 0
    for dataset, ym, pieces in survey(inputs, held, choice, force=force):
        todo = tuple(piece for piece in pieces if piece.state != "fresh")
        done = len(pieces) - len(todo)
        fresh += done
        if todo:
            columns = _with_held(inputs.recipes[dataset], [by_key.get(PartitionKey(dataset, p.pair, ym)) for p in todo])
            cost, measured = costs.of(dataset, _default_bytes(inputs.recipes[dataset].columns))
            if not measured:
                guessed.add(dataset)
            units.append(Unit(dataset, ym, columns, todo, done, inputs.look(dataset, columns, ym), cost))
    tasks = make_tasks(units, inputs, memory // max(threads, 1), threads)
    return Plan(tuple(units), tuple(tasks), fresh, threads, costs, tuple(sorted(guessed)))


def wanted_months(inputs: Inputs, choice: Choice) -> list[str]:
    """Months that hold bars, within those asked for."""
    if not inputs.spans:
        return []
    first = min(span[0] for span in inputs.spans.values())
    last = max(span[1] for span in inputs.spans.values())
    lo, hi = choice.first_month or month_of(first), choice.last_month or month_of(last)
    return [ym for ym in months_between(first, last + 1) if lo <= ym <= hi]


def _judge(info: PartitionInfo | None, digest: str, columns: tuple[str, ...], force: bool) -> tuple[State, str]:
    if info is None:
        return "missing", "not built yet"
    if info.input_hash != digest:
        return "stale", difference(info.input_hash, digest)
    if lacking := [name for name in columns if name not in set(info.columns)]:
        return "stale", f"{len(lacking)} columns missing"
    return ("stale", "forced") if force else ("fresh", "")


def _with_held(recipe: Recipe, held: Sequence[PartitionInfo | None]) -> tuple[str, ...]:
    """The wanted columns and those the partitions hold already: building some never loses others."""
    names = {*recipe.columns, *(name for info in held if info for name in info.columns)}
    return tuple(name for name in recipe.order if name in names)


def _wanted(asked: tuple[str, ...] | None, known: Mapping[str, Any] | Sequence[str], what: str) -> list[str]:
    names = list(known)
    if asked is None:
        return names
    if unknown := [name for name in asked if name not in names]:
        raise UsageError(f"unknown {what} {unknown[0]!r}", fix=f"known: {', '.join(names)}")
    return [name for name in names if name in asked]


def _default_bytes(columns: Mapping[str, int]) -> float:
    """Mean item size, plus the time stamp's share; what lz4 saves is not counted on."""
    return (sum(columns.values()) + 8) / max(len(columns), 1)
