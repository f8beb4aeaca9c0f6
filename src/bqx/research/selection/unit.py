"""One fold's selection as a unit of work: anywhere the same, its files given back as bytes for the caller to write."""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import WorkerMismatch
from bqx.build.job import worker_root
from bqx.build.project import Project
from bqx.build.same import check_same, facts
from bqx.market.calendar import datetime_of
from bqx.research.dataset import Dataset, Sample
from bqx.research.selection.comparators import comparator_losses
from bqx.research.selection.fold import select_fold
from bqx.research.selection.mask import Mask
from bqx.research.selection.options import Options
from bqx.research.target_set import research_targets

I8 = NDArray[np.int64]
Made = tuple[dict[str, Any], dict[str, bytes]]
"""A fold's result, and its files: suffix -> bytes."""


class _Open:
    """The dataset a worker has open, and the sample of its latest pair."""

    dataset: Dataset | None = None
    key: tuple[str, str, str] | None = None
    sample: tuple[int, Sample] | None = None


_opening = threading.Lock()


def item_of(dataset: Dataset, pair: str, fold: int, o: Options, workers: int, compare: bool) -> dict[str, Any]:
    """What `run` needs to do a fold in another process."""
    project = dataset.project
    return {
        "root": str(project.root.resolve()), "dataset": dataset.name, "hash": dataset.hash,
        "facts": facts(project, ()), "pair": pair, "fold": fold, "options": asdict(o), "workers": workers,
        "compare": compare,
    }  # fmt: skip


def run(item: dict[str, Any]) -> dict[str, Any]:
    """`item_of` there, `select` here; WorkerMismatch when this host has another dataset, settings or versions."""
    o = Options(**item["options"])
    with _opening:
        dataset = _dataset(item)
        if _Open.sample is None or _Open.sample[0] != o.every or _Open.sample[1].pair != item["pair"]:
            _Open.sample = None  # so that there is one in memory, not two
            _Open.sample = (o.every, dataset.sample(item["pair"], every=o.every))
        sample = _Open.sample[1]
    result, files = select(dataset, sample, item["fold"], o, item["workers"], item["compare"])
    return {"result": result, "files": {name: base64.b64encode(data).decode() for name, data in files.items()}}


def made_of(answer: dict[str, Any]) -> Made:
    """Result and files out of what `run` gave."""
    return answer["result"], {name: base64.b64decode(text) for name, text in answer["files"].items()}


def _dataset(item: dict[str, Any]) -> Dataset:
    key = (item["root"], item["dataset"], item["hash"])
    if _Open.dataset is None or _Open.key != key:
        project = Project.open(worker_root(item["root"]))
        check_same(item["facts"], facts(project, ()), f"a worker's project at {project.root}")
        found = Dataset.open(project, item["dataset"])
        if found.hash != item["hash"]:
            raise WorkerMismatch(
                f"dataset {found.name} has hash {found.hash}, not {item['hash']}",
                where=str(project.root),
                fix="copy the coordinator's folder of that dataset to every worker's project",
            )
        _Open.dataset, _Open.key, _Open.sample = found, key, None
    return _Open.dataset


def select(dataset: Dataset, sample: Sample, number: int, o: Options, workers: int, compare: bool) -> Made:
    """The mask of one fold and, when wanted, the comparators' losses on its test block."""
    plan = dataset.splits
    train, test = plan.rows(sample.position)[number]
    Y = np.column_stack([t.value(sample.labels) for t in research_targets()])
    began = time.perf_counter()
    mask = select_fold(
        sample.X, Y, sample.position, sample.seg_age, sample.in_stream, sample.chosen, train,
        horizon=plan.horizon, embargo=plan.embargo, options=o, workers=workers,
    )  # fmt: skip
    spent = {**mask.seconds, "selection": round(time.perf_counter() - began, 2)}
    out = BytesIO()
    mask.table.write_parquet(out, compression="zstd")
    files = {".parquet": out.getvalue()}
    if compare:
        began = time.perf_counter()
        kept = np.flatnonzero(mask.table["borda"].is_not_null().to_numpy())
        found = comparator_losses(
            sample.X, Y, sample.position, sample.chosen, kept, np.flatnonzero(mask.selected), train, test,
            horizon=plan.horizon, embargo=plan.embargo, options=o, workers=workers,
        )  # fmt: skip
        spent["comparators"] = round(time.perf_counter() - began, 2)
        out = BytesIO()
        np.savez(out, **found)  # type: ignore[arg-type]
        files[".npz"] = out.getvalue()
    return _result(dataset, sample, number, mask, test, spent), files


def _result(
    dataset: Dataset, sample: Sample, number: int, mask: Mask, test: I8, seconds: dict[str, float]
) -> dict[str, Any]:
    calendar = dataset.project.calendar
    when = [datetime_of(calendar.at_ordinal(int(p))).isoformat() for p in
            (mask.first, mask.last, sample.position[test[0]], sample.position[test[-1]])]  # fmt: skip
    return {
        "pair": sample.pair, "fold": number, "digest": mask.digest, "train": when[:2], "test": when[2:],
        "rows": mask.rows, "test_rows": len(test), "kept": int(mask.table["borda"].is_not_null().sum()),
        "selected": int(mask.selected.sum()), "clusters": mask.clusters, "shrinkage": mask.shrinkage,
        "false_picks_bound": mask.bound, **mask.counts(), "seconds": seconds,
    }  # fmt: skip
