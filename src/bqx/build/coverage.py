"""How much of every column is there, and why the rest is NULL: counted for a store or for bars of a user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.build.choice import Choice
from bqx.build.gather import anchors, gather
from bqx.build.loader import load_panel
from bqx.build.planner import survey
from bqx.features.reasons import REASONS, Reasons
from bqx.features.support import View
from bqx.market.calendar import month_of, month_span
from bqx.store.partition import PartitionKey

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.features.checks import World
    from bqx.features.declare import Column, Dataset

KEYS = ("dataset", "column", "pair", "month")
COUNTS = ("rows", "present", *REASONS)
_SCHEMA: dict[str, pl.DataType] = {**dict.fromkeys(KEYS, pl.String()), **dict.fromkeys(COUNTS, pl.Int64())}


@dataclass(frozen=True)
class Coverage:
    """cells : one row a dataset, column, pair and month: rows, present, and NULLs by reason, which add up to `rows`.

    skipped : partitions that were left out because their inputs have moved on since they were built.
    """

    cells: pl.DataFrame
    simulated: bool
    skipped: int = 0

    def by(self, *keys: str) -> pl.DataFrame:
        """Summed over all but `keys`, in the order they were built and listed."""
        return self.cells.group_by(keys, maintain_order=True).agg(pl.col(COUNTS).sum())

    @property
    def total(self) -> dict[str, int]:
        """All of it."""
        sums = self.cells.select(pl.col(COUNTS).sum()).row(0, named=True)
        return {name: int(sums[name] or 0) for name in COUNTS}

    def as_dict(self) -> dict[str, Any]:
        return {
            "reasons": dict(REASONS),
            "simulated": self.simulated,
            "skipped": self.skipped,
            "total": self.total,
            "datasets": self.by("dataset").to_dicts(),
            "columns": self.by("dataset", "column").to_dicts(),
            "months": self.by("month", "pair").to_dicts(),
            "cells": self.by("dataset", "month", "pair").to_dicts(),
        }


def project_coverage(project: Project, choice: Choice | None = None) -> Coverage:
    """Of the store's fresh partitions: what is present is what the manifest counts, the reasons are what calendar, bars
    and supports say. Raises CheckError where there are more values than these allow, or nothing is built."""
    choice = choice or Choice()
    inputs, _ = gather(project, choice.columns)
    held = {info.key: info for info in project.store.partitions(as_of=project.as_of)}
    months: dict[str, list[tuple[str, list[Any]]]] = {}
    skipped = 0
    for dataset, ym, pieces in survey(inputs, list(held.values()), choice):
        skipped += sum(piece.state == "stale" for piece in pieces)
        if fresh := [piece for piece in pieces if piece.state == "fresh"]:
            months.setdefault(ym, []).append((dataset, fresh))
    records: list[tuple[Any, ...]] = []
    for ym, datasets in months.items():
        pairs = tuple(p for p in inputs.pairs if any(piece.pair == p for _, pieces in datasets for piece in pieces))
        quotes = any("quotes" in project.catalogue[name].uses for name, _ in datasets)
        start = min(inputs.earliest(name, ym) for name, _ in datasets)
        panel = load_panel(project.bars, inputs, pairs, start, month_span(ym)[1], quotes=quotes)
        reasons = Reasons(View(panel, inputs.calendar, anchors(inputs).minutes(pairs)))
        minute = panel.grid.minute
        for name, pieces in datasets:
            home, spans = project.catalogue[name], np.full((len(pairs), 2), len(minute), dtype=np.int64)
            present = np.zeros((len(home.columns), len(pairs)), dtype=np.int64)
            known = np.zeros(present.shape, dtype=bool)
            for piece in pieces:
                lane, info = pairs.index(piece.pair), held[PartitionKey(name, piece.pair, ym)]
                spans[lane] = np.searchsorted(minute, piece.first), np.searchsorted(minute, piece.through, "right")
                nulls, rows, stored = info.null_counts, info.rows, set(info.columns)
                for k, item in enumerate(home.columns):
                    if item.name in stored:
                        present[k, lane], known[k, lane] = rows - nulls[item.name], True
            chosen = set(inputs.recipes[name].columns)
            wanted = known & np.array([c.name in chosen for c in home.columns])[:, None]
            records += _records(home, pairs, ym, reasons, spans, present, wanted)
    if not records:
        raise CheckError("no fresh partition to look at", fix="run `bqx build run` first")
    return Coverage(pl.DataFrame(records, schema=_SCHEMA, orient="row"), project.simulated, skipped)


def world_coverage(homes: Sequence[Dataset], world: World, simulated: bool) -> Coverage:
    """Of values computed from a world's bars, over all of its span."""
    first, last = world.span
    reasons = Reasons(world.view(first, last))
    panel = reasons.view.panel
    begin = np.searchsorted(panel.grid.minute, panel.first)
    end = np.searchsorted(panel.grid.minute, panel.last, "right")
    spans = np.column_stack([begin, end]).astype(np.int64)
    offset = panel.grid.index(first)
    records: list[tuple[Any, ...]] = []
    for home in homes:
        values = world.values(home, first, last)
        present = np.array(
            [
                [
                    int((~np.isnan(values[c.name][max(a - offset, 0) : b - offset, k])).sum())
                    for k, (a, b) in enumerate(spans)
                ]
                for c in home.columns
            ]
        )
        ym = f"{month_of(first)}..{month_of(last - 1)}"
        records += _records(home, world.pairs, ym, reasons, spans, present, np.ones(present.shape, dtype=bool))
    return Coverage(pl.DataFrame(records, schema=_SCHEMA, orient="row"), simulated)


def _records(
    home: Dataset,
    pairs: Sequence[str],
    ym: str,
    reasons: Reasons,
    spans: NDArray[np.int64],
    present: NDArray[np.int64],
    wanted: NDArray[np.bool_],
) -> Iterator[tuple[Any, ...]]:
    for k, item in enumerate(home.columns):
        found = reasons.counts(item.support, home.uses, spans)
        for lane in np.flatnonzero(wanted[k]).tolist():
            counts = {reason: int(count[lane]) for reason, count in found.items()}
            undefined = counts.pop("expected") - int(present[k, lane])
            _demand(home, item, pairs[lane], ym, undefined)
            by_reason = [undefined if reason == "undefined" else counts[reason] for reason in REASONS]
            rows = int(spans[lane, 1] - spans[lane, 0])
            yield (home.name, item.name, pairs[lane], ym, rows, int(present[k, lane]), *by_reason)


def _demand(home: Dataset, item: Column, pair: str, ym: str, undefined: int) -> None:
    if undefined < 0 or (undefined and "may_be_undefined" not in item.tags):
        more = "more" if undefined < 0 else "fewer"
        raise CheckError(
            f"{home.name}.{item.name} has {abs(undefined):,} values {more} than calendar and bars allow",
            where=f"{pair} {ym}",
            fix="run `bqx build verify`, and `bqx features check` for the column",
        )
