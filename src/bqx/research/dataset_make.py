"""Make a dataset: find what is built for all pairs, pin it, write labels, count NULLs, plan the splits, seal."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from bqx.base.atomic import replacing, write_text
from bqx.base.errors import DatasetError, UsageError
from bqx.base.runlog import current_run
from bqx.features.catalogue import switched_on
from bqx.market.calendar import datetime_of, month_span, months_between
from bqx.research.candidate_read import read_blocks
from bqx.research.candidates import candidates, catalogue_version, counted_datasets
from bqx.research.dataset import FOLDER, FORMAT, MANIFEST, Dataset, check_name, file_hash, manifest_hash, sources
from bqx.research.labels import ASSUMED_COST, Labels, make_labels
from bqx.research.skill import overlap
from bqx.research.split_plan import plan
from bqx.research.target_set import research_targets, targets_all
from bqx.research.targets import HORIZONS

if TYPE_CHECKING:
    from bqx.build.project import Project

Note = Callable[[str], None]


def make_dataset(
    project: Project,
    name: str,
    *,
    pairs: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    profile: str = "seed",
    cost: float | None = None,
    extensions: Sequence[str] = (),
    dry_run: bool = False,
    note: Note = lambda _: None,
) -> dict[str, Any]:
    """Pin a dataset under `datasets/NAME` and give back its manifest; DatasetError when too little is built.

    Interrupted, the same call goes on with the next pair. cost : round trip in bps, None for quoted spreads.
    extensions : of those the project has switched on, the ones whose columns are to be candidates, too.
    """
    target = project.root / FOLDER / check_name(name)
    if target.exists():
        raise DatasetError(f"there is a dataset {name!r} already", where=str(target), fix="choose another name")
    work = target.with_name(f".{name}.part")
    asked = {"pairs": list(pairs or project.pairs), "start": start, "end": end, "profile": profile, "cost": cost}
    if wider := _wider(project, extensions):
        asked["extensions"] = list(wider)
    as_of = _resumed(work, asked, project.snapshot(), dry_run)
    head = _head(project, asked, as_of)
    if dry_run:
        return {**head, "name": name, "dry_run": True}
    found = []
    for number, pair in enumerate(head["pairs"], start=1):
        found.append(_pair(project, work, pair, head, cost))
        note(f"{pair} ({number} of {len(head['pairs'])}): {found[-1]['rows']:,} rows")
    data = {
        **head,
        "labels": {f["pair"]: f["labels"] for f in found},
        "seal": _seal(found),
        "counts": {
            f["pair"]: {k: f[k] for k in ("rows", "nulls", "declared", "valid", "effective", "closed")} for f in found
        },
    }
    data["hash"] = manifest_hash(data)
    data |= {"name": name, "made_at": datetime.now(UTC).isoformat(timespec="seconds"), "run_id": current_run().run_id}
    write_text(work / MANIFEST, json.dumps(data, indent=1) + "\n")
    for left in work.glob("*.done.json"):
        left.unlink()
    (work / "asked.json").unlink()
    work.replace(target)
    return data


def _wider(project: Project, names: Sequence[str]) -> tuple[str, ...]:
    """Datasets of the named extensions; UsageError for one that the project does not build."""
    wider = tuple(switched_on(tuple(names)))
    if off := [name for name in wider if name not in project.extensions]:
        raise UsageError(
            f"extension {off[0]} is not switched on", fix="name it in bqx.toml, [features] extensions, and build it"
        )
    return wider


def _resumed(work: Path, asked: dict[str, Any], as_of: int | None, dry_run: bool) -> int | None:
    """The known-at time of an interrupted call that asked the same, else now; a different one is thrown away."""
    record = work / "asked.json"
    if record.is_file():
        old = json.loads(record.read_text("utf-8"))
        if old["asked"] == asked:
            return old["as_of"]  # type: ignore[no-any-return]
    if not dry_run:
        shutil.rmtree(work, ignore_errors=True)
        write_text(record, json.dumps({"asked": asked, "as_of": as_of}))
    return as_of


def _head(project: Project, asked: dict[str, Any], as_of: int | None) -> dict[str, Any]:
    """All of the manifest that needs no pass over the rows. `extensions` is in it only where there are any."""
    wider = tuple(asked.get("extensions", ()))
    spans = {pair: _built(project, pair, as_of, wider) for pair in asked["pairs"]}
    first = max(s[0] for s in spans.values())
    last = min(s[1] for s in spans.values())
    start = first if asked["start"] is None else max(first, asked["start"])
    end = last + 1 if asked["end"] is None else min(last + 1, asked["end"])
    grid = project.calendar.grid(start, end) if end > start else None
    if not grid or not len(grid):
        raise DatasetError("no minute has all datasets of all pairs", fix="`bqx build coverage` shows what is built")
    start, end = int(grid.minute[0]), int(grid.minute[-1]) + 1
    bars = project.bars.spans(as_of=as_of)
    chosen = candidates(asked["profile"], wider)
    return {
        **({"extensions": list(wider)} if wider else {}),
        "format": FORMAT,
        "pairs": sorted(asked["pairs"]),
        "start": start,
        "end": end,
        "first": datetime_of(start).isoformat(),
        "last": datetime_of(end - 1).isoformat(),
        "as_of": as_of,
        "catalogue_version": catalogue_version(wider),
        "lag_profile": asked["profile"],
        "candidates": len(chosen),
        "candidates_hash": hashlib.sha256("\n".join(c.name for c in chosen).encode()).hexdigest()[:32],
        "schema": {
            "candidates": "Float32",
            "labels": {name: str(kind) for name, kind in Labels.schema().items()},
            "targets": list(targets_all()),
        },
        "calendar": project.calendar.digest(start, end),
        "first_bar": {pair: bars[pair][0] for pair in sorted(asked["pairs"])},
        "cost": "quoted spread, else " + f"{ASSUMED_COST} bps" if asked["cost"] is None else f"{asked['cost']} bps",
        "simulated": project.bars.simulated(as_of=as_of),
        "splits": plan(project.calendar.ordinal(start), len(grid), max(HORIZONS)).as_dict(),
        "sources": {pair: sources(project, pair, start, end, as_of, wider) for pair in sorted(asked["pairs"])},
    }


def _built(project: Project, pair: str, as_of: int | None, wider: tuple[str, ...]) -> tuple[int, int]:
    """First and last minute for which every counted dataset of a pair is built, and every one of `wider`."""
    counted = counted_datasets(wider)
    spans: dict[str, tuple[int, int]] = {}
    for info in project.store.partitions(as_of, pair=pair):
        low, high = spans.get(info.key.dataset, (info.first_minute, info.last_minute))
        spans[info.key.dataset] = (min(low, info.first_minute), max(high, info.last_minute))
    if absent := [home for home in counted if home not in spans]:
        raise DatasetError(
            f"{len(absent)} of {len(counted)} datasets are not built for {pair}: {', '.join(absent[:4])}",
            fix="a selection needs them all: `bqx build run`",
        )
    return max(spans[h][0] for h in counted), min(spans[h][1] for h in counted)


def _pair(project: Project, work: Path, pair: str, head: dict[str, Any], cost: float | None) -> dict[str, Any]:
    """Labels and counts of one pair; what an interrupted call finished is taken over."""
    done = work / f"{pair}.done.json"
    if done.is_file():
        return json.loads(done.read_text("utf-8"))  # type: ignore[no-any-return]
    pieces, valid = [], dict.fromkeys((t.name for t in research_targets()), 0)
    closed = dict.fromkeys((str(h) for h in HORIZONS), 0)
    for ym in months_between(head["start"], head["end"]):
        low, high = month_span(ym)
        span = max(low, head["start"]), min(high, head["end"])
        if not len(project.calendar.grid(*span)):
            continue
        labels = make_labels(project.bars, project.calendar, pair, *span, cost=cost, as_of=head["as_of"])
        _count_labels(labels, valid, closed)
        path = f"labels/{pair}_{ym}.parquet"
        with replacing(work / path) as temp:
            labels.frame().write_parquet(temp, compression="zstd")
        pieces.append({"path": path, "ym": ym, "rows": len(labels), "hash": file_hash(work / path)})
    rows, nulls, declared = _count_candidates(project, pair, head)
    chosen = candidates(head["lag_profile"], tuple(head.get("extensions", ())))
    table = pl.DataFrame({"candidate": [c.name for c in chosen], "nulls": nulls, "declared": declared})
    with replacing(work / f"nulls/{pair}.parquet") as temp:
        table.write_parquet(temp, compression="zstd")
    found = {"pair": pair, "labels": pieces, "rows": rows, "nulls": int(nulls.sum()), "declared": int(declared.sum()),
             "valid": valid, "effective": _worth(valid), "closed": closed}  # fmt: skip
    write_text(done, json.dumps(found))
    return found


def _worth(valid: dict[str, int]) -> dict[str, int]:
    """Independent labels that those of each target are worth."""
    return {t.name: round(effective(valid[t.name], t.horizon, t.window == 0)) for t in research_targets()}


def _count_labels(labels: Labels, valid: dict[str, int], closed: dict[str, int]) -> None:
    for t in research_targets():
        valid[t.name] += int(np.isfinite(t.value(labels)).sum())
    for h in HORIZONS:
        closed[str(h)] += int((labels.left < h).sum())


def _count_candidates(project: Project, pair: str, head: dict[str, Any]) -> tuple[int, Any, Any]:
    """Rows, and a candidate's NULLs: all of them, and those in the declared warm-up or segment start."""
    chosen = candidates(head["lag_profile"], tuple(head.get("extensions", ())))
    first = project.calendar.ordinal(head["first_bar"][pair])
    rows, nulls, declared = 0, np.zeros(len(chosen), np.int64), np.zeros(len(chosen), np.int64)
    for block in read_blocks(project.store, project.calendar, pair, head["start"], head["end"], chosen, head["as_of"]):
        rows += len(block)
        in_stream = block.position - first + 1
        for k, c in enumerate(chosen):
            null = np.isnan(block.X[:, k])
            nulls[k] += int(null.sum())
            declared[k] += int((null & c.declared_null(in_stream, block.seg_age)).sum())
    return rows, nulls, declared


def _seal(found: list[dict[str, Any]]) -> str:
    """Hash over the label files; with the manifest's splits it fixes the sealed rows."""
    text = "\n".join(piece["hash"] for f in found for piece in f["labels"])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def effective(valid: int, horizon: int, returns: bool) -> float:
    """Independent labels that `valid` minute labels are worth: h-bar returns overlap h fold, M_h by `overlap`."""
    return valid / (horizon if returns else overlap(horizon))


def summary(dataset: Dataset) -> dict[str, Any]:
    """What `bqx dataset show` prints: the manifest's head, and per pair rows, NULL shares and effective labels."""
    data = dataset.data
    keys = ("name", "hash", "made_at", "run_id", "first", "last", "as_of", "catalogue_version", "lag_profile",
            "candidates", "cost", "simulated")  # fmt: skip
    pairs = []
    for pair, c in data["counts"].items():
        cells = c["rows"] * data["candidates"]
        pairs.append({"pair": pair, "rows": c["rows"], "values": cells, "nulls": c["nulls"],
                      "nulls_declared": c["declared"], "labels": c["valid"], "effective": c["effective"],
                      "masked_by_closures": c["closed"]})  # fmt: skip
    splits = dataset.splits
    calendar = dataset.project.calendar
    folds = [
        {"fold": f.number, **{k: datetime_of(calendar.at_ordinal(getattr(f, k))).isoformat()
                              for k in ("train_start", "train_end", "start", "end")}}
        for f in splits.folds()
    ]  # fmt: skip
    sealed = datetime_of(dataset.sealed_from).isoformat() if splits.sealed is not None else None
    return {**{k: data[k] for k in keys}, "pairs": pairs, "splits": splits.text, "folds": folds, "sealed_from": sealed,
            "combinatorial": {"groups": splits.groups, "k": splits.k, "splits": splits.combinatorial.count,
                              "paths": splits.combinatorial.paths},
            "sources": sum(len(s) for s in data["sources"].values()), "seal": data["seal"]}  # fmt: skip
