"""Check feature tables and write them as immutable files; nothing here touches the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Literal

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from bqx.base.errors import StoreError
from bqx.market.calendar import datetime_of, month_of
from bqx.store.content import content_hash, content_hashes
from bqx.store.contract import Receipt, Schema
from bqx.store.files import Codec, Files, Written, write_table
from bqx.store.fingerprint import ts_fingerprint
from bqx.store.partition import PartitionKey, check_dataset

I8 = NDArray[np.int64]
TS_TYPE = pl.Datetime("us", "UTC")
_MINUTE_US = 60_000_000


def minutes_of(table: pl.DataFrame, where: str) -> I8:
    """Minutes of `ts_utc`; raises StoreError unless it comes first, on whole minutes, sorted and unique."""
    if not table.columns or table.columns[0] != "ts_utc" or table["ts_utc"].dtype != TS_TYPE:
        raise StoreError("the first column must be ts_utc, a Datetime in microseconds UTC", where=where)
    if table["ts_utc"].null_count():
        raise StoreError(f"{table['ts_utc'].null_count()} rows have no ts_utc", where=where)
    stamps = table["ts_utc"].cast(pl.Int64).rechunk().to_numpy()
    minutes = stamps // _MINUTE_US
    off = np.flatnonzero(stamps % _MINUTE_US)
    if len(off):
        raise StoreError(f"{len(off)} rows are not on a whole minute, first row {off[0]}", where=where)
    wrong = np.flatnonzero(np.diff(minutes) <= 0)
    if len(wrong):
        raise StoreError(
            f"ts_utc must rise: {len(wrong)} rows do not come after the one before, first row {wrong[0] + 1}",
            where=where,
            fix="sort the rows and remove duplicate minutes",
        )
    return np.asarray(minutes, dtype=np.int64)


def check_finite(table: pl.DataFrame, where: str) -> None:
    """Raise StoreError naming the column when a float is NaN or infinite."""
    if all(isfinite(column.sum() or 0.0) for column in table if column.dtype.is_float()):
        return  # a sum is finite only when its terms are; looking at each takes four times as long
    finite = table.select(cs.float().is_finite().all())
    for name in finite.columns:
        if finite[name][0] is False:
            column = table[name]
            nan = column.is_nan().sum()
            inf = column.is_infinite().sum()
            row = (~column.is_finite()).fill_null(False).arg_max()
            raise StoreError(
                f"column {name} has {nan} NaN and {inf} infinite values, first in row {row}",
                where=where,
                fix="an undefined value is NULL; an infinite one is a bug in the formula",
            )


def stage_month(
    files: Files,
    codec: Codec,
    key: PartitionKey,
    table: pl.DataFrame,
    *,
    input_hash: str,
    code_version: str,
    complete_through: int,
    simulated: bool,
) -> Receipt:
    """One partition's rows to one file."""
    complete_through = min(complete_through, key.checked().span[1] - 1)
    minutes = checked(table, key, complete_through)
    written = write_table(files, f"lake/{key.dataset}/{key.ym}", key.pair, table, codec)
    return receipt(
        key,
        table,
        minutes,
        written,
        content_hash(table),
        input_hash=input_hash,
        code_version=code_version,
        complete_through=complete_through,
        simulated=simulated,
    )


def receipt(
    key: PartitionKey,
    table: pl.DataFrame,
    minutes: I8,
    written: Written,
    digest: str,
    *,
    kind: Literal["month", "tail"] = "month",
    input_hash: str,
    code_version: str,
    complete_through: int,
    simulated: bool,
) -> Receipt:
    """What `written` holds: the whole of `table`, whose content hash is `digest`."""
    where = key.name
    return Receipt(
        key=key,
        path=written.path,
        kind=kind,
        row_start=0,
        rows=len(minutes),
        first_minute=int(minutes[0]),
        last_minute=int(minutes[-1]),
        complete_through=complete_through,
        file_hash=written.file_hash,
        content_hash=digest,
        ts_hash=ts_fingerprint(minutes),
        input_hash=_text(input_hash, "input_hash", where),
        code_version=_text(code_version, "code_version", where),
        schema=schema_of(table),
        null_counts=_null_counts(table),
        bytes=written.bytes,
        simulated=simulated,
    )


def stage_tail(
    files: Files,
    codec: Codec,
    dataset: str,
    tables: Mapping[str, pl.DataFrame],
    *,
    input_hash: str,
    code_version: str,
    complete_through: int,
    simulated: bool,
) -> list[Receipt]:
    """New rows of several pairs to one file, rows by pair; one receipt a pair and month."""
    check_dataset(dataset)
    for pair in tables:
        if tables[pair].columns[:1] != ["ts_utc"]:
            raise StoreError("the first column must be ts_utc", where=f"{dataset} {pair}")
    filled = [pair for pair in sorted(tables) if tables[pair].height]
    if not filled:
        raise StoreError("a tail without rows is not written", where=dataset)
    features = pl.concat([tables[pair] for pair in filled]).rechunk()
    names = pl.Series("pair", np.repeat(filled, [tables[pair].height for pair in filled]).tolist(), dtype=pl.String)
    whole = features.select(names, pl.all())
    check_finite(whole, f"tail of {dataset}")
    parts: list[tuple[PartitionKey, int, I8]] = []
    at = 0
    for pair in filled:
        minutes = minutes_of(features.slice(at, tables[pair].height), f"{dataset} {pair}")
        parts += [(key, at + start, rows) for key, start, rows in by_month(dataset, pair, minutes)]
        at += len(minutes)
    for key, _, minutes in parts:
        _check_through(key, minutes, min(complete_through, key.span[1] - 1))
    hashes = content_hashes(features, [(start, start + len(minutes)) for _, start, minutes in parts])
    newest, schema = max(key.ym for key, *_ in parts), schema_of(whole)
    written = write_table(files, f"lake/{dataset}/{newest}", "tail", whole, codec)
    return [
        Receipt(
            key=key,
            path=written.path,
            kind="tail",
            row_start=start,
            rows=len(minutes),
            first_minute=int(minutes[0]),
            last_minute=int(minutes[-1]),
            complete_through=min(complete_through, key.span[1] - 1),
            file_hash=written.file_hash,
            content_hash=digest,
            ts_hash=ts_fingerprint(minutes),
            input_hash=_text(input_hash, "input_hash", key.name),
            code_version=_text(code_version, "code_version", key.name),
            schema=schema,
            null_counts=counts,
            bytes=written.bytes,
            simulated=simulated,
        )
        for (key, start, minutes), digest, counts in zip(
            parts, hashes, _nulls_of(features, [(start, start + len(rows)) for _, start, rows in parts]), strict=True
        )
    ]


def _nulls_of(table: pl.DataFrame, spans: Sequence[tuple[int, int]]) -> list[dict[str, int]]:
    """:func:`_null_counts` of rows [start, stop) of each span."""
    columns = table.get_columns()[1:]
    found: list[dict[str, int]] = [dict.fromkeys((column.name for column in columns), 0) for _ in spans]
    for column in columns:
        if column.null_count():
            before = np.concatenate(([0], np.cumsum(column.is_null().to_numpy())))
            for counts, (start, stop) in zip(found, spans, strict=True):
                counts[column.name] = int(before[stop] - before[start])
    return found


def schema_of(table: pl.DataFrame) -> Schema:
    return tuple((name, str(dtype)) for name, dtype in table.schema.items())


def checked(table: pl.DataFrame, key: PartitionKey, complete_through: int) -> I8:
    """Minutes of a partition's table; raises StoreError for anything that may not be stored."""
    where = key.name
    minutes = minutes_of(table, where)
    if not len(minutes):
        raise StoreError(
            "a partition without rows is not written", where=where, fix="leave out months before the pair's first bar"
        )
    start, end = key.span
    if minutes[0] < start or minutes[-1] >= end:
        raise StoreError(
            f"rows from {datetime_of(int(minutes[0]))} to {datetime_of(int(minutes[-1]))} leave the month", where=where
        )
    _check_through(key, minutes, complete_through)
    check_finite(table, where)
    return minutes


def _check_through(key: PartitionKey, minutes: I8, complete_through: int) -> None:
    if complete_through < minutes[-1]:
        raise StoreError(
            f"complete_through {complete_through} is before the last row's minute {minutes[-1]}", where=key.name
        )


def by_month(dataset: str, pair: str, minutes: I8) -> Iterator[tuple[PartitionKey, int, I8]]:
    """Sorted minutes cut at the ends of months: key, first row, minutes."""
    at = 0
    while at < len(minutes):
        key = PartitionKey(dataset, pair, month_of(int(minutes[at]))).checked()
        stop = int(np.searchsorted(minutes, key.span[1]))
        yield key, at, minutes[at:stop]
        at = stop


def _null_counts(table: pl.DataFrame) -> dict[str, int]:
    return {column.name: column.null_count() for column in table.get_columns()[1:]}


def _text(value: str, name: str, where: str) -> str:
    if not value:
        raise StoreError(
            f"{name} is empty", where=where, fix="staleness is computed from it, so every partition has one"
        )
    return value
