"""`bqx store adopt`: tables that were there before bqx become partitions, or move aside. No row of theirs changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import xxhash

from bqx.base.errors import StoreError, TablesError
from bqx.store.commit import partition_id
from bqx.store.content import content_hash
from bqx.store.contract import Receipt, Schema
from bqx.store.files import Written
from bqx.store.partition import PartitionKey
from bqx.store.pg import ddl
from bqx.store.pg.commit import forget, put
from bqx.store.pg.decode import decode, selected
from bqx.store.pg.encode import encode
from bqx.store.pg.layout import Layout
from bqx.store.pg.manifest import PgConnection, PgManifest
from bqx.store.pg.quoting import name
from bqx.store.pg.strangers import Stranger, strangers
from bqx.store.pg.upgrade import Held
from bqx.store.stage import checked, receipt

if TYPE_CHECKING:
    from psycopg.sql import Composable

MARK = "adopted"
"""Input hash and code version of an adopted partition: no build made it, so every build finds it stale."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """attached : partitions by name. aside : relation -> why it was moved to the legacy schema (or, when it is in a
    schema of somebody else, left alone). shells : partitions that got an empty table of ours in the place of one that
    moved."""

    attached: tuple[str, ...]
    aside: Mapping[str, str]
    shells: tuple[str, ...]
    dry_run: bool


def adopt(
    manifest: PgManifest,
    columns: Mapping[str, Schema],
    *,
    schema: str | None = None,
    dry_run: bool = False,
    roles: Sequence[str] = (),
) -> Adopted:
    """Look at every relation of the feature schema that is not ours, a transaction a dataset.

    schema : look there instead; tables that fit come over, all else there is left alone.

    A table attaches when its name is that of a partition, its columns are the registry's, and its rows could have been
    staged (whole rising minutes of its month and pair, no NaN); an empty partition of ours in its place goes, in the
    same transaction. All else moves to the legacy schema, and where a partition of the registry loses its name to
    that, it gets an empty table of ours. roles : who may read what attaches.
    """
    attached: list[str] = []
    aside: dict[str, str] = {}
    shells: list[str] = []
    held = Held.read(manifest.sessions, manifest.layout)
    with manifest.connection() as con:
        there = schema or manifest.layout.schema
        ours = held.ours if there == manifest.layout.schema else set()
        found = strangers(cast(PgConnection, con).raw, there, ours, columns)
        if dry_run:
            judged = [(one, _judge(cast(PgConnection, con), there, one, columns)[1]) for one in found]
            ok = tuple(one.table for one, why in judged if not why)
            return Adopted(ok, {one.table: why for one, why in judged if why}, (), True)
    by_dataset = sorted(found, key=lambda one: (_dataset(one, columns), one.kind != "TABLE"))
    for dataset, group in groupby(by_dataset, key=lambda one: _dataset(one, columns)):
        done = _group(manifest, held, there, dataset, list(group), columns, roles)
        attached += done.attached
        aside |= done.aside
        shells += done.shells
    return Adopted(tuple(attached), aside, tuple(shells), False)


def _group(
    manifest: PgManifest,
    held: Held,
    there: str,
    dataset: str,
    group: list[Stranger],
    columns: Mapping[str, Schema],
    roles: Sequence[str],
) -> Adopted:
    layout = manifest.layout
    attached, aside, shells = [], {}, []
    with manifest.writing(faults=True) as pg:
        con = cast(sqlite3.Connection, pg)
        pg.lock()
        pg.raw.execute(ddl.legacy_schema(layout))
        taken = {
            str(row[0])
            for row in pg.raw.execute(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s",
                (layout.legacy,),
            ).fetchall()
        }
        judged = [(one, *_judge(pg, there, one, columns)) for one in group]
        for one, _, why in judged:  # first out of the way: old parents bear the names of our pairs' tables
            if not why and one.parent:
                pg.raw.execute(ddl.detach(one.parent, there, one.table))
        for one, _, why in judged:
            if why:
                aside[one.table] = why
            if why and there == layout.schema:
                free = _free(one.table, taken)
                for statement in ddl.move_aside(layout, one.table, free, one.kind):
                    pg.raw.execute(statement)
        for one, made, why in judged:
            if one.key is None or (why and there != layout.schema):
                continue
            _parents(pg, held, layout, one.key, columns[dataset])
            if made is not None and not why:
                if one.key.name in held.ours:
                    _clear_shell(pg, layout, one.key)
                if there != layout.schema:
                    pg.raw.execute(ddl.bring(layout, there, one.table))
                for statement in ddl.attach(layout, one.key):
                    pg.raw.execute(statement)
                for statement in ddl.reader_only(layout, one.key, roles):
                    pg.raw.execute(statement)
                _list(pg, one.key.name, one.key, MARK)
                put(con, made, partition_id(con, made), manifest.tick(con, "commit"))
                con.execute("SELECT analyze_leaf(?)", (one.key.name,))
                attached.append(one.key.name)
            elif one.key.name not in held.ours:
                pg.raw.execute(ddl.leaf(layout, one.key))
                _list(pg, one.key.name, one.key, "made")
                shells.append(one.key.name)
    return Adopted(tuple(attached), aside, tuple(shells), False)


def release(manifest: PgManifest, keys: Sequence[PartitionKey]) -> list[str]:
    """Undo adoption: the table moves to the legacy schema with its rows, an empty one of ours takes its place."""
    layout, done = manifest.layout, []
    for key in keys:
        with manifest.writing(faults=True) as pg:
            con = cast(sqlite3.Connection, pg)
            pg.lock_names([key.name])
            row = con.execute("SELECT origin FROM relation WHERE name = ?", (key.name,)).fetchone()
            if row is None or row[0] != MARK:
                raise StoreError("this partition was not adopted", where=key.name)
            pg.lock()
            pg.raw.execute(ddl.legacy_schema(layout))
            pg.raw.execute(ddl.detach((layout.schema, f"{key.dataset}_{key.pair}"), layout.schema, key.name))
            for statement in ddl.move_aside(layout, key.name, key.name, "TABLE"):
                pg.raw.execute(statement)
            pg.raw.execute(ddl.leaf(layout, key))
            con.execute("UPDATE relation SET origin = 'made' WHERE name = ?", (key.name,))
            for (partition,) in con.execute(
                "SELECT p.id FROM partition p JOIN dataset d ON d.id = p.dataset_id "
                "WHERE d.name = ? AND p.pair = ? AND p.ym = ?",
                (key.dataset, key.pair, key.ym),
            ).fetchall():
                forget(con, partition)
            manifest.tick(con, "drop")
            done.append(key.name)
    return done


def _clear_shell(pg: PgConnection, layout: Layout, key: PartitionKey) -> None:
    """Drop our empty partition of that name; TablesError when it is not empty."""
    from psycopg import sql

    row = pg.raw.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(layout.leaf(key))).fetchone()
    if row and row[0]:
        raise TablesError(
            "a partition of ours has this name, and rows", where=key.name, fix="`bqx store drop` it, or leave it out"
        )
    pg.raw.execute(ddl.drop_leaf(layout, key))
    pg.execute("DELETE FROM relation WHERE name = ?", (key.name,))


def _judge(pg: PgConnection, there: str, one: Stranger, columns: Mapping[str, Schema]) -> tuple[Receipt | None, str]:
    """A receipt for the table's rows, or why there can be none."""
    if one.why or one.key is None:
        return None, one.why
    if not one.rows:
        return None, "it is empty"
    key, schema = one.key, columns[one.key.dataset]
    try:
        table = _read(pg, there, key, schema)
        minutes = checked(table, key, key.span[1] - 1)
    except StoreError as error:
        return None, error.what
    stream = b"".join(encode(table))
    return receipt(
        key,
        table,
        minutes,
        Written("", len(stream), xxhash.xxh3_128(stream).hexdigest()),
        content_hash(table),
        input_hash=MARK,
        code_version=MARK,
        complete_through=int(minutes[-1]),
        simulated=False,
    ), ""


def _read(pg: PgConnection, there: str, key: PartitionKey, schema: Schema) -> pl.DataFrame:
    """Its rows in order of time; StoreError for other pairs, and for NaN, which reading would take for NULL."""
    from psycopg import sql

    leaf = name(there, key.name)
    floats = [name(column) for column, dtype in schema if dtype.startswith("Float")]
    tests: list[Composable] = [
        sql.SQL("pair IS DISTINCT FROM {}").format(sql.Literal(key.pair)),
        sql.SQL("ts_utc IS NULL"),
    ]
    tests += [sql.SQL("{} IN ('NaN', 'Infinity', '-Infinity')").format(column) for column in floats]
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(leaf, sql.SQL(" OR ").join(tests))
    row = pg.raw.execute(query).fetchone()
    if row and row[0]:
        raise StoreError(f"{row[0]} rows have NaN or Inf, no time, or another pair", where=key.name)
    every = [column for column, _ in schema]
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)").format(selected(schema, every), leaf)
    with pg.raw.cursor() as cursor, cursor.copy(query) as stream:
        return decode(stream, schema, every, key.name)


def _parents(pg: PgConnection, held: Held, layout: Layout, key: PartitionKey, schema: Schema) -> None:
    """The dataset's and the pair's tables, made when they are not there."""
    if key.dataset not in held.ours:
        pg.raw.execute(ddl.root(layout, key.dataset, schema))
        _list(pg, key.dataset, key, "made", root=True)
        held.ours.add(key.dataset)
    table = f"{key.dataset}_{key.pair}"
    if table not in held.ours:
        pg.raw.execute(ddl.pair_table(layout, key.dataset, key.pair))
        _list(pg, table, key, "made", pair=True)
        held.ours.add(table)


def _list(
    pg: PgConnection, table: str, key: PartitionKey, origin: str, *, root: bool = False, pair: bool = False
) -> None:
    values: tuple[Any, ...] = (
        table, key.dataset, None if root else key.pair, None if root or pair else key.ym, origin,
    )  # fmt: skip
    pg.execute("INSERT INTO relation VALUES (?, ?, ?, ?, ?)", values)


def _dataset(one: Stranger, columns: Mapping[str, Schema]) -> str:
    """The dataset in whose transaction it is dealt with; "" for what has nothing to do with any."""
    if one.key is not None:
        return one.key.dataset
    near = [dataset for dataset in columns if one.table == dataset or one.table[:-7] == dataset]
    return near[0] if near else ""


def _free(table: str, taken: set[str]) -> str:
    """A name nobody has in the legacy schema."""
    choice, number = table, 1
    while choice in taken:
        number += 1
        choice = f"{table[:56]}_{number}"
    taken.add(choice)
    return choice
