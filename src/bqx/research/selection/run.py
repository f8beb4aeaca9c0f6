"""Selection over pairs and folds of a dataset: masks, comparators, ledger rows; goes on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.atomic import write_bytes, write_text
from bqx.base.errors import SelectionError, UsageError
from bqx.base.runlog import current_run
from bqx.build.engines import map_units
from bqx.build.executor import Executor
from bqx.research.dataset import Dataset, Sample, check_name
from bqx.research.estimators import forecaster
from bqx.research.selection.comparators import NAMES
from bqx.research.selection.options import Options
from bqx.research.selection.unit import Made, item_of, made_of, select
from bqx.research.target_set import research_targets
from bqx.research.trials import Trial, Trials

if TYPE_CHECKING:
    from bqx.build.project import Project

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
FOLDER = "selections"
MANIFEST = "manifest.json"
FORMAT = 1
Note = Callable[[str], None]


def run_selection(
    dataset: Dataset,
    name: str,
    *,
    pairs: Sequence[str] | None = None,
    folds: Sequence[int] | None = None,
    options: Options | None = None,
    workers: int = 1,
    compare: bool = True,
    note: Note = lambda _: None,
    engine: str | Executor = "threads",
) -> dict[str, Any]:
    """One mask a pair and fold under `selections/NAME`; gives back the manifest.

    engine : threads does one fold after the other with `workers` threads; processes or dask://host:port does folds
    side by side, `workers` of them (all that a cluster has), with one thread each. compare : fit the comparators on
    each fold's test block too.

    Interrupted, the same call goes on with the next fold; SelectionError when the name belongs to another dataset or
    other options, or when quotas cannot be met.
    """
    o, project = options or Options(), dataset.project
    folder = project.root / FOLDER / check_name(name)
    head = _head(dataset, o, compare)
    _begin(folder, head)
    ledger = Trials(project.root)
    ahead = todo(dataset, name, pairs, folds)
    seconds: list[float] = []
    began = time.perf_counter()
    with closing(_made(dataset, ahead, o, workers, compare, engine, note)) as folds_made:
        for number, (pair, fold, made) in enumerate(folds_made, start=1):
            result = _write(folder / f"{pair}_{fold}", made)
            ledger.record(_trials(dataset, pair, fold, o, result, compare))
            seconds.append(time.perf_counter() - began - sum(seconds))
            left = len(ahead) - number
            more = f", about {left * np.mean(seconds) / 60:.0f} min left" if left else ""
            note(f"{pair} fold {fold}: {result['certified']} certified, {seconds[-1]:.0f} s{more}")
    return write_manifest(project, folder, name)


def _made(
    dataset: Dataset,
    ahead: Sequence[tuple[str, int]],
    o: Options,
    workers: int,
    compare: bool,
    engine: str | Executor,
    note: Note,
) -> Generator[tuple[str, int, Made]]:
    """(pair, fold, what was made) of the folds ahead, as they come."""
    if engine != "threads":
        items = [item_of(dataset, pair, fold, o, 1, compare) for pair, fold in ahead]
        with closing(map_units(engine, "bqx.research.selection.unit:run", items, workers=workers, note=note)) as found:
            for at, answer in found:
                yield (*ahead[at], made_of(answer))
        return
    sample: Sample | None = None
    for pair, fold in ahead:
        if sample is None or sample.pair != pair:
            sample = None  # so that there is one in memory, not two
            sample = dataset.sample(pair, every=o.every)
        yield pair, fold, select(dataset, sample, fold, o, workers, compare)


def todo(
    dataset: Dataset, name: str, pairs: Sequence[str] | None = None, folds: Sequence[int] | None = None
) -> list[tuple[str, int]]:
    """Pairs and folds of a selection that have no mask yet."""
    done = done_folds(dataset.project.root / FOLDER / check_name(name))
    chosen = [_known(dataset, p) for p in pairs] if pairs else list(dataset.pairs)
    return [(p, f) for p in chosen for f in fold_numbers(dataset, folds) if (p, f) not in done]


def forecast(seconds: Sequence[float], pairs: int = 28, folds: int = 6) -> str:
    """What all pairs would take at the mean of the folds measured."""
    each = float(np.mean(seconds))
    return f"{each:.0f} s a pair and fold; {pairs} pairs x {folds} folds: about {each * pairs * folds / 3600:.1f} h"


def open_selection(project: Project, name: str) -> dict[str, Any]:
    """The manifest of a selection; UsageError lists what there is."""
    path = project.root / FOLDER / check_name(name) / MANIFEST
    if not path.is_file():
        have = ", ".join(selections(project.root)) or "none: `bqx select run NAME --dataset D`"
        raise UsageError(f"no finished selection {name!r}", fix=f"there is {have}")
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return data


def selections(root: Path) -> list[str]:
    return sorted(p.parent.name for p in (root / FOLDER).glob(f"*/{MANIFEST}"))


def load_mask(project: Project, name: str, pair: str, fold: int) -> pl.DataFrame:
    """The table of one mask, a row a candidate."""
    path = project.root / FOLDER / check_name(name) / f"{pair}_{fold}.parquet"
    if not path.is_file():
        raise UsageError(f"selection {name} has no mask of {pair} fold {fold}", where=str(path.name))
    return pl.read_parquet(path, glob=False, memory_map=False)


def load_losses(project: Project, name: str, pair: str, fold: int) -> dict[str, F8]:
    """Comparator -> losses (test rows, targets, 5) of a fold; empty when they were not fitted."""
    path = project.root / FOLDER / check_name(name) / f"{pair}_{fold}.npz"
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as data:
        return {k: data[k] for k in data.files}


def fold_numbers(dataset: Dataset, folds: Sequence[int] | None) -> list[int]:
    have = [f.number for f in dataset.splits.folds()]
    if folds is None:
        return have
    if unknown := sorted(set(folds) - set(have)):
        raise UsageError(f"dataset {dataset.name} has no fold {unknown[0]}", fix=f"it has {have[0]} to {have[-1]}")
    return sorted(set(folds))


def done_folds(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Folds that have been written, by pair and number."""
    found = [json.loads(p.read_text("utf-8")) for p in sorted(folder.glob("*_*.json"))]
    return {(r["pair"], r["fold"]): r for r in found}


def write_manifest(project: Project, folder: Path, name: str) -> dict[str, Any]:
    head = json.loads((folder / "head.json").read_text("utf-8"))
    data = {
        **head,
        "name": name,
        "run_id": current_run().run_id,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "folds": [r for _, r in sorted(done_folds(folder).items())],
    }
    write_text(folder / MANIFEST, json.dumps(data, indent=1, allow_nan=False) + "\n")
    return data


def _head(dataset: Dataset, o: Options, compare: bool) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "dataset": dataset.name,
        "dataset_hash": dataset.hash,
        "lag_profile": dataset.profile,
        "catalogue_version": dataset.data["catalogue_version"],
        "splits": dataset.splits.text,
        "simulated": dataset.simulated,
        "options": asdict(o),
        "options_hash": o.digest,
        "compared": compare,
        "targets": [t.name for t in research_targets()],
    }


def _begin(folder: Path, head: dict[str, Any]) -> None:
    path = folder / "head.json"
    if path.is_file():
        if json.loads(path.read_text("utf-8")) != head:
            raise SelectionError(
                "a selection of that name was made of another dataset or with other options",
                where=str(folder),
                fix="choose another name",
            )
        return
    write_text(path, json.dumps(head, indent=1) + "\n")


def _write(stem: Path, made: Made) -> dict[str, Any]:
    """A fold's files, its result last: with that it is done."""
    result, files = made
    for suffix, data in files.items():
        write_bytes(stem.with_suffix(suffix), data)
    write_text(stem.with_suffix(".json"), json.dumps(result) + "\n")
    return result


def _trials(dataset: Dataset, pair: str, fold: int, o: Options, result: dict[str, Any], compare: bool) -> list[Trial]:
    """The selection, and every parameter set that the comparators tried."""
    where: dict[str, Any] = {"lag_profile": dataset.profile, "dataset": dataset.hash, "pair": pair, "fold": str(fold)}
    where["seed"] = o.seed
    n = len(dataset.candidates)
    out = [Trial("selection", "borda", asdict(o), dataset.data["candidates_hash"], n, **where)]
    if compare:
        for name in NAMES:
            model = "boosting" if name.endswith("boosting") else "ridge"
            columns = result["kept"] if name == "all" else o.budget
            made = forecaster(model, rounds=o.rounds) if model == "boosting" else forecaster(model)
            for parameters in made.trials:
                mark = f"{name}:{result['digest']}"
                out += [
                    Trial("forecast", model, parameters, mark, columns, target=t.name, **where)
                    for t in research_targets()
                ]
    return out


def _known(dataset: Dataset, pair: str) -> str:
    if pair not in dataset.pairs:
        raise UsageError(f"dataset {dataset.name} has no pair {pair!r}", fix=f"it has {', '.join(dataset.pairs)}")
    return pair
