"""Candidates of a dataset as Parquet, a file a pair and month, and the manifest that says what must be in them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bqx.base.atomic import replacing, write_text
from bqx.base.errors import DatasetError
from bqx.research.candidate_read import Block
from bqx.research.candidates import COUNT, Candidate
from bqx.research.dataset import Dataset

MANIFEST = "manifest.json"
FORMAT = 1
DOMAINS = ("rate", "bqx", "neutral")


def write_candidates(
    dataset: Dataset, folder: Path, *, every: int = 1, note: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Write `candidates/{pair}/{yyyy_mm}.parquet`: `ts_utc`, then all candidates, float32, NULL where they have none.

    Rows are the open minutes before the seal whose position is a multiple of `every`; nothing sealed leaves the
    dataset. Every file is read back: columns, rows and NULLs must be those that were counted, or DatasetError. Gives
    the manifest, written last; a file that is there and fits the counts is kept, so a killed job goes on.
    """
    chosen = dataset.candidates
    domains = domain_counts(chosen)
    files = []
    for pair in dataset.pairs:
        for block in dataset.blocks(pair):
            keep = np.flatnonzero(block.position % every == 0)
            if len(keep):
                files.append(_file(dataset, folder, pair, block, keep, chosen))
        note(f"{pair}: {sum(f['rows'] for f in files if f['pair'] == pair):,} rows of {len(chosen):,} candidates")
    data = {
        "format": FORMAT,
        "dataset": dataset.name,
        "dataset_hash": dataset.hash,
        "catalogue_version": dataset.data["catalogue_version"],
        "lag_profile": dataset.profile,
        "simulated": dataset.simulated,
        "every": every,
        "candidates": len(chosen),
        "domains": domains,
        "columns": [{"name": c.name, "domain": c.signal_domain, "lag": c.lag} for c in chosen],
        "rows": sum(f["rows"] for f in files),
        "nulls": sum(f["nulls"] for f in files),
        "files": files,
    }
    write_text(folder / MANIFEST, json.dumps(data, indent=1, allow_nan=False) + "\n")
    return data


def domain_counts(chosen: tuple[Candidate, ...]) -> dict[str, int]:
    """Candidates a domain; DatasetError unless they are 2,640, all named once, of both domains."""
    counts = Counter(c.signal_domain for c in chosen)
    if len(chosen) != COUNT or len({c.name for c in chosen}) != COUNT:
        raise DatasetError(f"{len(chosen):,} candidates, not {COUNT:,} different ones")
    if unknown := set(counts) - set(DOMAINS):
        raise DatasetError(f"candidates of an unknown domain: {', '.join(sorted(unknown))}")
    if not (counts["rate"] and counts["bqx"]):
        raise DatasetError(f"{counts['rate']} candidates of rate and {counts['bqx']} of bqx: both must be there")
    return {name: counts[name] for name in DOMAINS}


def check_candidates(folder: Path) -> dict[str, Any]:
    """The manifest, after every file was compared with it by bytes; DatasetError for whatever differs."""
    path = folder / MANIFEST
    try:
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        named = {f["path"]: f["sha256"] for f in data["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError("there is no manifest of candidates", where=str(path)) from error
    have = {p.relative_to(folder).as_posix() for p in folder.rglob("*.parquet")}
    if odd := sorted(set(named) ^ have):
        raise DatasetError(f"{odd[0]} is {'absent' if odd[0] in named else 'not in the manifest'}", where=str(folder))
    for name, digest in named.items():
        if _sha256(folder / name) != digest:
            raise DatasetError(f"{name} is not the file that was written", where=str(folder))
    return data


def _file(
    dataset: Dataset, folder: Path, pair: str, block: Block, keep: np.ndarray[Any, np.dtype[np.int64]],
    chosen: tuple[Candidate, ...],
) -> dict[str, Any]:  # fmt: skip
    from bqx.market.calendar import datetime_of

    ym = f"{datetime_of(int(block.minute[0])):%Y_%m}"
    name = f"{pair}/{ym}.parquet"
    nulls = np.isnan(block.X[keep]).sum(axis=0)
    if not (folder / name).is_file() or _wrong(folder / name, chosen, len(keep), nulls):
        stamps = (block.minute[keep] * 60_000_000).astype("datetime64[us]")
        columns = [pl.Series("ts_utc", stamps).dt.replace_time_zone("UTC")]
        columns += [
            pl.Series(c.name, np.ascontiguousarray(block.X[keep, k]), nan_to_null=True) for k, c in enumerate(chosen)
        ]
        with replacing(folder / name) as temp:
            pl.DataFrame(columns).write_parquet(temp, compression="zstd", statistics=True)
        if wrong := _wrong(folder / name, chosen, len(keep), nulls):
            raise DatasetError(f"what was written is not what was counted: {wrong}", where=f"{dataset.name} {name}")
    return {
        "path": name, "pair": pair, "month": ym, "rows": len(keep), "columns": len(chosen), "nulls": int(nulls.sum()),
        "first": datetime_of(int(block.minute[keep[0]])).isoformat(),
        "last": datetime_of(int(block.minute[keep[-1]])).isoformat(), "sha256": _sha256(folder / name),
    }  # fmt: skip


def _wrong(path: Path, chosen: tuple[Candidate, ...], rows: int, nulls: np.ndarray[Any, Any]) -> str:
    """How a file differs from what was counted, "" when it does not."""
    try:
        scan = pl.scan_parquet(path, glob=False)
        schema = scan.collect_schema()
        names = [c.name for c in chosen]
        if schema.names() != ["ts_utc", *names] or any(schema[n] != pl.Float32 for n in names):
            return "its columns"
        counted = scan.select(pl.len().alias("ts_utc"), *(pl.col(n).null_count() for n in names)).collect().row(0)
    except pl.exceptions.PolarsError as error:
        return f"it cannot be read ({type(error).__name__})"
    if counted[0] != rows:
        return f"{counted[0]:,} rows, not {rows:,}"
    odd = np.flatnonzero(np.array(counted[1:]) != nulls)
    return f"{counted[1 + odd[0]]:,} NULLs in {names[odd[0]]}, not {nulls[odd[0]]:,}" if len(odd) else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
