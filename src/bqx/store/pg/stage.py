"""Check feature tables and spool them; nothing here speaks with the server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import polars as pl

from bqx.base.errors import StoreError
from bqx.store.content import content_hash
from bqx.store.contract import Receipt
from bqx.store.partition import PartitionKey, check_dataset
from bqx.store.pg.spool import spool
from bqx.store.stage import by_month, checked, minutes_of, receipt


def stage_part(
    root: Path,
    key: PartitionKey,
    table: pl.DataFrame,
    *,
    kind: Literal["month", "tail"] = "month",
    input_hash: str,
    code_version: str,
    complete_through: int,
    simulated: bool,
) -> Receipt:
    """A partition's rows, or rows to append to it."""
    complete_through = min(complete_through, key.checked().span[1] - 1)
    minutes = checked(table, key, complete_through)
    digest = content_hash(table)
    written = spool(root, f"{key.name}-{digest[:16]}", table)
    return receipt(
        key,
        table,
        minutes,
        written,
        digest,
        kind=kind,
        input_hash=input_hash,
        code_version=code_version,
        complete_through=complete_through,
        simulated=simulated,
    )


def stage_tail(
    root: Path,
    dataset: str,
    tables: Mapping[str, pl.DataFrame],
    *,
    input_hash: str,
    code_version: str,
    complete_through: int,
    simulated: bool,
) -> list[Receipt]:
    """New rows of several pairs; one receipt a pair and month."""
    check_dataset(dataset)
    out = []
    for pair in sorted(tables):
        minutes = minutes_of(tables[pair], f"{dataset} {pair}")
        for key, start, part in by_month(dataset, pair, minutes):
            out.append(
                stage_part(
                    root,
                    key,
                    tables[pair].slice(start, len(part)),
                    kind="tail",
                    input_hash=input_hash,
                    code_version=code_version,
                    complete_through=complete_through,
                    simulated=simulated,
                )
            )
    if not out:
        raise StoreError("a tail without rows is not written", where=dataset)
    return out
