"""Cells over an engine: each is fitted by a worker with one thread, elsewhere; its tables come back as bytes."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from io import BytesIO
from typing import Any

import polars as pl

from bqx.base.errors import WorkerMismatch
from bqx.build.engines import map_units
from bqx.build.executor import Executor, Note
from bqx.build.job import worker_root
from bqx.build.project import Project
from bqx.build.same import check_same, facts
from bqx.research.dataset import Dataset
from bqx.research.training.cell_fit import Done
from bqx.research.training.cells import Cell
from bqx.research.training.masks import Masks
from bqx.research.training.one_thread import one_thread
from bqx.research.training.order import Order, make_order
from bqx.research.training.pool import Failure, attempt, read_group
from bqx.research.training.rows import PairRows
from bqx.research.training.settings import Settings, code_version, versions
from bqx.research.trials import Trial

Outcome = tuple[Done, int] | Failure


def outcomes(
    order: Order, groups: Sequence[Sequence[Cell]], engine: str | Executor, workers: int, retries: int, note: Note
) -> Generator[tuple[Cell, Outcome]]:
    """What became of every cell, as they end; what a cell gives is what it gives on threads."""
    cells = [(cell, group) for group in groups for cell in group]
    items = [item_of(order, cell, group, retries) for cell, group in cells]
    with closing(map_units(engine, "bqx.research.training.apart:run", items, workers=workers, note=note)) as found:
        for at, answer in found:
            yield cells[at][0], outcome_of(cells[at][0], answer)


def item_of(order: Order, cell: Cell, group: Sequence[Cell], retries: int) -> dict[str, Any]:
    """What `run` needs. The masks of the whole group go along, so that its rows are read once a worker."""
    dataset, folds = order.dataset, sorted({c.fold for c in group})
    held = [[p, f, order.masks.held[p, f]] for p in cell.pairs for f in folds] if order.masks.held else []
    return {
        "root": str(dataset.project.root.resolve()), "dataset": dataset.name, "hash": dataset.hash,
        "facts": {**facts(dataset.project, ()), "code": code_version(), **_named(versions())},
        "settings": asdict(order.settings), "held": held, "common": order.masks.common,
        "source": order.masks.source, "whole": order.masks.digest,
        "cell": asdict(cell), "group": [asdict(c) for c in group], "retries": retries,
    }  # fmt: skip


def outcome_of(cell: Cell, answer: Mapping[str, Any]) -> Outcome:
    """What `run` gave, as the threads' loop has it."""
    if "failure" in answer:
        return Failure(**answer["failure"])
    tables = {p: pl.read_parquet(BytesIO(base64.b64decode(text))) for p, text in answer["tables"].items()}
    trials = [Trial(**trial) for trial in answer["trials"]]
    return Done(cell, tables, answer["facts"], trials, answer["seconds"]), answer["attempts"]


class _Open:
    """What a worker keeps for the next cell: the dataset, and the rows of the latest group."""

    dataset: Dataset | None = None
    key: tuple[str, ...] = ()
    group: str = ""
    rows: Mapping[str, PairRows] | None = None


_opening = threading.Lock()


def run(item: dict[str, Any]) -> dict[str, Any]:
    """Fit the cell of `item_of`; WorkerMismatch when this host has other code, settings or another dataset."""
    with _opening:
        dataset = _dataset(item)
        order = _order(dataset, item)
        group = json.dumps([item["group"], item["held"], item["common"], item["settings"]])
        if _Open.rows is None or _Open.group != group:
            _Open.rows = None  # so that there are those of one group in memory, not of two
            _Open.rows, _Open.group = read_group(order, [_cell(data) for data in item["group"]]), group
        rows = _Open.rows
    with one_thread():
        outcome = attempt(order, _cell(item["cell"]), rows, item["retries"])
    if isinstance(outcome, Failure):
        return {"failure": outcome.as_dict()}
    done, attempts = outcome
    return {
        "tables": {pair: _text(table) for pair, table in done.tables.items()}, "facts": done.facts,
        "trials": [asdict(trial) for trial in done.trials], "seconds": done.seconds, "attempts": attempts,
    }  # fmt: skip


def _dataset(item: Mapping[str, Any]) -> Dataset:
    key = (item["root"], item["dataset"], item["hash"])
    if _Open.dataset is None or _Open.key != key:
        project = Project.open(worker_root(item["root"]))
        here = {**facts(project, ()), "code": code_version(), **_named(versions())}
        check_same(item["facts"], here, f"worker process {os.getpid()}, project at {project.root}")
        found = Dataset.open(project, item["dataset"])
        if found.hash != item["hash"]:
            raise WorkerMismatch(
                f"dataset {found.name} has hash {found.hash}, not {item['hash']}",
                where=str(project.root),
                fix="copy the coordinator's folder of that dataset to every worker's project",
            )
        _Open.dataset, _Open.key, _Open.rows = found, key, None
    return _Open.dataset


def _order(dataset: Dataset, item: Mapping[str, Any]) -> Order:
    said = item["settings"]
    tuples = {k: tuple(v) for k, v in said.items() if isinstance(v, list)}
    made = make_order(dataset, Settings(**{**said, **tuples}))
    held = {(pair, int(fold)): tuple(numbers) for pair, fold, numbers in item["held"]}
    masks = Masks(item["source"], dataset.candidates, held, tuple(item["common"]), item["whole"])
    return Order(dataset, made.settings, made.recipe, masks, made.pairs, made.horizons, made.folds, made.spacing)


def _cell(data: Mapping[str, Any]) -> Cell:
    return Cell(**{**data, "pairs": tuple(data["pairs"])})


def _named(found: Mapping[str, str]) -> dict[str, str]:
    return {f"package {name}": version for name, version in found.items()}


def _text(table: pl.DataFrame) -> str:
    out = BytesIO()
    table.write_parquet(out, compression="zstd")
    return base64.b64encode(out.getvalue()).decode()
