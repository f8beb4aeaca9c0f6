"""Lazy frames over the manifest's file list: several datasets side by side by position, never by a join."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Protocol

import polars as pl

from bqx.base.errors import StoreError
from bqx.market.calendar import datetime_of
from bqx.store.contract import PartitionInfo, Piece
from bqx.store.files import Files
from bqx.store.span import Span, in_span, span_text

_BUILD = "build what is missing with `bqx build run`, or narrow datasets, pairs or span"


class Scan(Protocol):
    """How a store gives rows of one pair's partitions of one dataset, in order of time: ts_utc when asked, columns."""

    def __call__(
        self, infos: Sequence[PartitionInfo], columns: list[str], span: Span | None, with_ts: bool
    ) -> pl.LazyFrame: ...


def read(
    scan: Scan,
    found: Iterable[PartitionInfo],
    datasets: Sequence[str],
    pairs: Sequence[str] | None,
    span: Span | None,
    columns: Sequence[str] | None,
) -> pl.LazyFrame:
    """Frame of the partitions `found`; see `FeatureStore.read`. StoreError for what is absent or does not fit."""
    table: dict[str, dict[str, list[PartitionInfo]]] = {}
    for info in found:
        if span is None or (info.first_minute < span[1] and info.last_minute >= span[0]):
            table.setdefault(info.key.pair, {}).setdefault(info.key.dataset, []).append(info)
    wanted = list(pairs) if pairs is not None else sorted(table)
    for pair in wanted:
        for dataset in datasets:
            if not table.get(pair, {}).get(dataset):
                raise StoreError(f"no rows of {dataset} for {pair}{span_text(span)}", fix=_BUILD)
    if not wanted:
        raise StoreError(f"no rows of {', '.join(datasets)}{span_text(span)}", fix=_BUILD)
    chosen = {name: _columns_of(name, datasets, table, wanted, columns) for name in datasets}
    if columns is not None:
        _check_known(columns, chosen, len(datasets) > 1)
    frames = [_pair_frame(scan, pair, table[pair], datasets, chosen, span) for pair in wanted]
    frame = pl.concat(frames) if len(frames) > 1 else frames[0]
    if columns is None:
        return frame
    return frame.select("pair", "ts_utc", *(c for c in columns if c not in ("pair", "ts_utc")))


def _columns_of(
    dataset: str,
    datasets: Sequence[str],
    table: dict[str, dict[str, list[PartitionInfo]]],
    pairs: Sequence[str],
    columns: Sequence[str] | None,
) -> list[str]:
    """Columns to take from a dataset; all of them must be in every piece."""
    infos = [info for pair in pairs for info in table[pair][dataset]]
    schemas = {piece.schema: info for info in infos for piece in info.pieces}
    features = [tuple(name for name, _ in schema if name not in ("pair", "ts_utc")) for schema in schemas]
    if columns is None:
        if len(set(features)) > 1:
            names = [info.name for info in schemas.values()]
            raise StoreError(
                f"partitions of {dataset} have different columns: {', '.join(names[:4])}",
                fix="rebuild the older ones, or name the columns to read",
            )
        return list(features[0])
    prefix = f"{dataset}."
    if len(datasets) > 1:
        own = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
    else:
        own = [name for name in columns if name not in ("pair", "ts_utc")]
    for schema, info in schemas.items():
        absent = sorted(set(own) - {name for name, _ in schema})
        if absent:
            raise StoreError(
                f"column {absent[0]} is not in {info.name}",
                where=dataset,
                fix="see `bqx features list`; a partition built before the column existed must be rebuilt",
            )
    return own


def _check_known(columns: Sequence[str], chosen: dict[str, list[str]], several: bool) -> None:
    names = {f"{dataset}.{name}" if several else name for dataset, own in chosen.items() for name in own}
    unknown = [name for name in columns if name not in names and name not in ("pair", "ts_utc")]
    if unknown:
        raise StoreError(
            f"column {unknown[0]} belongs to none of {', '.join(chosen)}",
            fix="with several datasets write {dataset}.{column}",
        )


def _pair_frame(
    scan: Scan,
    pair: str,
    by_dataset: dict[str, list[PartitionInfo]],
    datasets: Sequence[str],
    chosen: dict[str, list[str]],
    span: Span | None,
) -> pl.LazyFrame:
    if len(datasets) > 1:
        _check_rows(pair, by_dataset, datasets)
    parts: list[pl.LazyFrame] = []
    for number, dataset in enumerate(datasets):
        columns = chosen[dataset]
        if number and not columns:
            continue
        frame = scan(by_dataset[dataset], columns, span, number == 0)
        if len(datasets) > 1:
            frame = frame.rename({name: f"{dataset}.{name}" for name in columns})
        parts.append(frame)
    whole = pl.concat(parts, how="horizontal") if len(parts) > 1 else parts[0]
    return whole.select(pl.lit(pair).alias("pair"), pl.all())


def _check_rows(pair: str, by_dataset: dict[str, list[PartitionInfo]], datasets: Sequence[str]) -> None:
    """Raise StoreError unless all datasets have the same minutes, by the fingerprints of the manifest."""
    first = {info.key.ym: info for info in by_dataset[datasets[0]]}
    for dataset in datasets[1:]:
        other = {info.key.ym: info for info in by_dataset[dataset]}
        alone = sorted(set(first) ^ set(other))
        if alone:
            here, there = (dataset, datasets[0]) if alone[0] in other else (datasets[0], dataset)
            raise StoreError(f"{pair} {alone[0]} is in {here} but not in {there}", where=pair, fix=_BUILD)
        for ym, info in first.items():
            if info.ts_hash != other[ym].ts_hash:
                raise StoreError(
                    f"{info.name} has {info.rows} rows through {datetime_of(info.complete_through)}, "
                    f"{other[ym].name} has {other[ym].rows} through {datetime_of(other[ym].complete_through)}",
                    fix="rebuild the one that is behind, or read them apart",
                )


def scan_files(files: Files) -> Scan:
    """Rows from files, fetched when the frame is made."""

    def scan(infos: Sequence[PartitionInfo], columns: list[str], span: Span | None, with_ts: bool) -> pl.LazyFrame:
        return scan_pieces(files, [piece for info in infos for piece in info.pieces], columns, span, with_ts)

    return scan


def scan_pieces(
    files: Files, pieces: Sequence[Piece], columns: list[str], span: Span | None, with_ts: bool
) -> pl.LazyFrame:
    """Rows of the pieces in order; runs of month files are one scan."""
    out: list[pl.LazyFrame] = []
    kept = [p for p in pieces if span is None or (p.first_minute < span[1] and p.last_minute >= span[0])]

    def group(piece: Piece) -> tuple[object, ...]:
        inside = span is None or (piece.first_minute >= span[0] and piece.last_minute < span[1])
        return (piece.kind, inside, piece.schema, piece.path if piece.kind == "tail" else "")

    for (kind, inside, *_), run in groupby(kept, key=group):
        members = list(run)
        for batch in [members] if kind == "month" else [[piece] for piece in members]:
            frame = pl.scan_parquet(files.fetch([piece.file for piece in batch]), glob=False)
            if kind == "tail":
                frame = frame.slice(batch[0].row_start, batch[0].rows)
            if not inside and span is not None:
                frame = frame.filter(in_span(span))
            out.append(frame.select("ts_utc", *columns) if with_ts else frame.select(columns))
    return pl.concat(out) if len(out) > 1 else out[0]
