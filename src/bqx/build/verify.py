"""Does the store hold what calendar, bars and declarations say it must? Rows, times, NULLs, bytes, and values again."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bqx.base.errors import CheckError
from bqx.build.choice import Choice
from bqx.build.gather import anchors, gather
from bqx.build.inputs import Inputs
from bqx.build.loader import load_panel
from bqx.build.planner import survey
from bqx.build.tasks import make_tasks
from bqx.build.units import Piece, Unit
from bqx.build.worker import task_streams, unit_tables
from bqx.features.support import Mask, Support, View
from bqx.market.calendar import month_span
from bqx.store.content import content_hash
from bqx.store.contract import PartitionInfo
from bqx.store.partition import PartitionKey

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.features.declare import Column


@dataclass
class Verification:
    """What was compared and what was found. values : stored cells whose NULL counts were compared."""

    partitions: int = 0
    values: int = 0
    non_null: int = 0
    recomputed: int = 0
    stale: int = 0
    missing: int = 0
    deep: bool = False
    problems: list[dict[str, str]] = field(default_factory=list)

    def add(self, partition: str, what: str, fix: str) -> None:
        self.problems.append({"partition": partition, "what": what, "fix": fix})

    def as_dict(self) -> dict[str, Any]:
        return {"ok": not self.problems, **self.__dict__}

    def demand(self) -> None:
        """Raise CheckError when there are problems, or when nothing was there to verify."""
        if self.problems:
            first = self.problems[0]
            raise CheckError(
                f"{len(self.problems)} problems, first: {first['what']}", where=first["partition"], fix=first["fix"]
            )
        if not self.partitions:
            raise CheckError("no fresh partition to verify", fix="run `bqx build run` first")


REBUILD = "build it again: bqx build run --force, with its --pairs, --datasets, --from and --to"


def verify(
    project: Project, choice: Choice | None = None, *, deep: bool = False, recompute: int = 0, seed: int = 0
) -> Verification:
    """Check fresh partitions; stale and missing ones are counted, for their inputs have moved on.

    Rows and times against the calendar, exactly; non-NULL counts of every column against what calendar, bars and
    warm-up predict (columns tagged `may_be_undefined` may have fewer). deep : read every file and hash its bytes
    and contents. recompute : build that many partitions again, chosen by `seed`, and compare content hashes.
    """
    choice = choice or Choice()
    result = Verification(deep=deep)
    for problem in project.store.verify(deep=deep):
        result.add(problem.partition or problem.path, problem.what, problem.fix)
    inputs, _ = gather(project, choice.columns)
    held = {info.key: info for info in project.store.partitions(as_of=project.as_of)}
    months: dict[str, list[tuple[str, Piece]]] = {}
    for dataset, ym, pieces in survey(inputs, list(held.values()), choice):
        result.stale += sum(piece.state == "stale" for piece in pieces)
        result.missing += sum(piece.state == "missing" for piece in pieces)
        months.setdefault(ym, []).extend((dataset, piece) for piece in pieces if piece.state == "fresh")
    for ym, fresh in months.items():
        for dataset, piece in fresh:
            _check_rows(held[PartitionKey(dataset, piece.pair, ym)], piece, inputs, result)
        if fresh:
            _check_nulls(project, inputs, ym, fresh, held, result)
    chosen = [(ym, *item) for ym, fresh in months.items() for item in fresh]
    picked = random.Random(seed).sample(chosen, min(recompute, len(chosen)))  # noqa: S311 - a sample, no secret
    for ym, dataset, piece in picked:
        _recompute(project, inputs, ym, dataset, piece, held[PartitionKey(dataset, piece.pair, ym)], result)
    return result


def _check_rows(info: PartitionInfo, piece: Piece, inputs: Inputs, result: Verification) -> None:
    result.partitions += 1
    first = inputs.calendar.at_ordinal(inputs.calendar.ordinal(piece.first))
    last = inputs.calendar.at_ordinal(inputs.calendar.ordinal(piece.through + 1) - 1)
    found = (info.rows, info.first_minute, info.last_minute, info.complete_through)
    if found != (piece.rows, first, last, piece.through):
        result.add(
            info.name,
            f"rows, first and last minute, complete_through are {found}, the calendar says "
            f"{(piece.rows, first, last, piece.through)}",
            REBUILD,
        )


def _check_nulls(
    project: Project,
    inputs: Inputs,
    ym: str,
    fresh: Iterable[tuple[str, Piece]],
    held: dict[PartitionKey, PartitionInfo],
    result: Verification,
) -> None:
    """Compare non-NULL counts with the columns' declared supports, which share no code with the kernels."""
    fresh = list(fresh)
    pairs = tuple(p for p in inputs.pairs if p in {piece.pair for _, piece in fresh})
    start = min(inputs.earliest(dataset, ym) for dataset, _ in fresh)
    quotes = any("quotes" in project.catalogue[dataset].uses for dataset, _ in fresh)
    panel = load_panel(project.bars, inputs, pairs, start, month_span(ym)[1], quotes=quotes)
    view = View(panel, inputs.calendar, anchors(inputs).minutes(pairs))
    masks: dict[Support, Mask] = {}
    for dataset, piece in fresh:
        info = held[PartitionKey(dataset, piece.pair, ym)]
        rows = slice(panel.grid.index(piece.first), int(np.searchsorted(panel.grid.minute, piece.through, "right")))
        lane = pairs.index(piece.pair)
        by_name = project.catalogue[dataset].by_name
        nulls = info.null_counts
        for name in info.columns:
            column = by_name.get(name)
            if column is None:
                result.add(info.name, f"column {name} is not in the catalogue", REBUILD)
                continue
            if column.support not in masks:
                masks[column.support] = column.expected(view)
            want = int(masks[column.support][rows, lane].sum())
            have = info.rows - nulls[name]
            result.values += info.rows
            result.non_null += have
            _compare(info.name, column, have, want, result)


def _compare(partition: str, column: Column, have: int, want: int, result: Verification) -> None:
    undefined = "may_be_undefined" in column.tags
    if have == want or (undefined and have < want):
        return
    allowed = "at most " if undefined else ""
    result.add(partition, f"{column.name} has {have} values, calendar and warm-up predict {allowed}{want}", REBUILD)


def _recompute(
    project: Project, inputs: Inputs, ym: str, dataset: str, piece: Piece, info: PartitionInfo, result: Verification
) -> None:
    unit = Unit(dataset, ym, info.columns, (piece,))
    for task in make_tasks([unit], inputs, 1 << 62):
        streams = task_streams(project, inputs, task)
        for _, table in unit_tables(project, streams, task, unit):
            result.recomputed += 1
            if content_hash(table) != _stored_hash(project, info):
                result.add(info.name, "computed again, its contents differ from those stored", REBUILD)


def _stored_hash(project: Project, info: PartitionInfo) -> str:
    """Of the whole partition, also when tails have not been folded in yet."""
    if len(info.pieces) == 1:
        return info.content_hash
    key = info.key
    rows = project.store.read(key.dataset, [key.pair], key.span, info.columns, as_of=project.as_of)
    return content_hash(rows.drop("pair").collect())
