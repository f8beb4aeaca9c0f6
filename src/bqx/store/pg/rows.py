"""Rows of partitions as frames: fetched when the frame is collected, only the columns it then needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import polars as pl
from polars.io.plugins import register_io_source

from bqx.base.errors import StoreError
from bqx.market.calendar import datetime_of
from bqx.store.contract import PartitionInfo, Schema
from bqx.store.listing import list_partitions
from bqx.store.pg.columns import features, kind_of
from bqx.store.pg.decode import decode, selected
from bqx.store.pg.manifest import PgConnection, PgManifest
from bqx.store.read import Scan
from bqx.store.span import Span
from bqx.store.stage import TS_TYPE


def scan_tables(manifest: PgManifest) -> Scan:
    """Rows from the server. A frame collected after its partitions were replaced raises StoreError: read it again."""

    def scan(infos: Sequence[PartitionInfo], columns: list[str], span: Span | None, with_ts: bool) -> pl.LazyFrame:
        types = dict(infos[0].pieces[0].schema)
        schema = {"ts_utc": TS_TYPE} | {name: kind_of(name, types[name]).polars for name in columns}

        def source(
            wanted: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch: int | None
        ) -> Iterator[pl.DataFrame]:
            chosen = [name for name in columns if wanted is None or name in wanted]
            frame = fetch(manifest, infos, chosen, span)
            frame = frame if predicate is None else frame.filter(predicate)
            frame = frame if wanted is None else frame.select(wanted)
            yield frame if n_rows is None else frame.head(n_rows)

        lazy = register_io_source(source, schema=schema, is_pure=True)
        return lazy if with_ts else lazy.select(columns)

    return scan


def fetch(
    manifest: PgManifest, infos: Sequence[PartitionInfo], columns: Sequence[str], span: Span | None
) -> pl.DataFrame:
    """ts_utc and `columns` of one pair's partitions of one dataset, in one snapshot with the manifest."""
    with manifest.connection() as con:
        key = infos[0].key
        now = {info.key: info for info in list_partitions(manifest, dataset=key.dataset, pair=key.pair)}
        for info in infos:
            if info.key not in now or now[info.key].pieces != info.pieces:
                raise StoreError("it was replaced since this frame was opened", where=info.name, fix="read it again")
        frames = [fetch_one(cast(PgConnection, con), manifest, info, columns, span) for info in infos]
    return pl.concat(frames)


def fetch_one(
    con: PgConnection, manifest: PgManifest, info: PartitionInfo, columns: Sequence[str], span: Span | None
) -> pl.DataFrame:
    """One partition, from its own table; StoreError when it has not the rows that the manifest counts."""
    from psycopg import sql

    types = dict(info.pieces[0].schema)
    chosen: Schema = tuple((name, types[name]) for name in columns)
    counts = info.null_counts
    nullable = [name for name in columns if counts.get(name, 1)]
    bounds = span if span and (info.first_minute < span[0] or info.last_minute >= span[1]) else None
    where: sql.Composable = sql.SQL("")
    if bounds:
        low, high = (sql.Literal(datetime_of(max(minute, 0)).isoformat()) for minute in _inside(bounds, info))
        where = sql.SQL(" WHERE ts_utc >= {} AND ts_utc < {}").format(low, high)
    query = sql.SQL("COPY (SELECT {} FROM {}{}) TO STDOUT (FORMAT binary)").format(
        selected(chosen, nullable), manifest.layout.leaf(info.key), where
    )
    with con.raw.cursor() as cursor, cursor.copy(query) as stream:
        frame = decode(stream, chosen, nullable, info.name)
    if bounds is None and frame.height != info.rows:
        raise StoreError(
            f"the table has {frame.height} rows, the manifest counts {info.rows}",
            where=info.name,
            fix="somebody else wrote it: build it again",
        )
    return frame


def whole(con: PgConnection, manifest: PgManifest, info: PartitionInfo) -> pl.DataFrame:
    """All rows and columns of a partition as they were staged."""
    return fetch_one(con, manifest, info, [name for name, _ in features(info.pieces[0].schema)], None)


def _inside(span: Span, info: PartitionInfo) -> Span:
    """The part of the span that touches the partition's month: times the server can read."""
    start, end = info.key.span
    return max(span[0], start), min(span[1], end)
