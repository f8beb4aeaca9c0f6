"""Compare the server's tables with what the manifest says of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from bqx.base.errors import RoleError, StoreError, TablesError
from bqx.store.content import content_hash
from bqx.store.contract import PartitionInfo, Problem
from bqx.store.files import LocalFiles
from bqx.store.fingerprint import ts_fingerprint
from bqx.store.listing import list_partitions
from bqx.store.partition import PartitionKey
from bqx.store.pg.columns import features, kind_of
from bqx.store.pg.manifest import PgConnection, PgManifest
from bqx.store.pg.rows import whole
from bqx.store.stage import check_finite, minutes_of
from bqx.store.verify import check_bars

_REBUILD = "build it again: bqx build run --force, with its --pairs, --datasets, --from and --to"
_UPGRADE = "run `bqx store upgrade`, then build it again"

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), pg_relation_size(c.oid) > 0
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname = %s AND c.relkind = 'r' AND c.relispartition AND a.attnum > 0 AND NOT a.attisdropped"""


def verify(root: Path, manifest: PgManifest, *, deep: bool = False) -> list[Problem]:
    """Every partition has its table, with its columns and some bytes; `deep`: rows, minutes, contents, and that tables
    without a partition are empty. Bars are files, and checked as the lake's are."""
    problems = []
    with manifest.connection() as con:
        pg = cast(PgConnection, con)
        columns: dict[str, dict[str, str]] = {}
        filled: set[str] = set()
        for table, column, kind, some in pg.raw.execute(_COLUMNS, (manifest.layout.schema,)).fetchall():
            columns.setdefault(str(table), {})[str(column)] = str(kind)
            if some:
                filled.add(str(table))
        infos = list_partitions(manifest)
        for info in infos:
            wrong, fix = _shallow(info, columns.get(info.name), info.name in filled), _UPGRADE
            if wrong is None and deep:
                wrong, fix = _deep(pg, manifest, info), _REBUILD
            if wrong:
                problems.append(Problem(info.name, info.pieces[0].path, wrong, fix))
        if deep:
            problems += _unlisted(pg, manifest, filled - {info.name for info in infos})
    return problems + check_bars(LocalFiles(root), manifest, deep)


def ready(manifest: PgManifest, keys: Iterable[PartitionKey]) -> None:
    """Raise TablesError when partitions have no table, RoleError when they were adopted or may not be written."""
    with manifest.connection() as con:
        origin = {str(n): str(o) for n, o in con.execute("SELECT name, origin FROM relation WHERE ym IS NOT NULL")}
        wanted = list(keys)
        missing = [key.name for key in wanted if key.name not in origin]
        if missing:
            raise TablesError(
                f"{len(missing)} partitions have no table, first {missing[0]}",
                where=manifest.layout.schema,
                fix="have the tables' owner run `bqx store upgrade`; it makes those of all months that have bars",
            )
        adopted = [key.name for key in wanted if origin[key.name] == "adopted"]
        if adopted:
            raise RoleError(
                f"{len(adopted)} partitions were adopted, so bqx does not write them; first {adopted[0]}",
                where=manifest.layout.schema,
                fix="leave them out, or `bqx store adopt --release` them",
            )
        for key in wanted[:1]:
            pg = cast(PgConnection, con)
            table = f'"{manifest.layout.schema}"."{key.name}"'
            row = pg.raw.execute(
                "SELECT has_table_privilege(%s, 'INSERT') AND has_table_privilege(%s, 'DELETE')", (table, table)
            ).fetchone()
            if row and not row[0]:
                raise RoleError("this role may not write feature tables", where=table, fix="use the writer's DSN")


def _shallow(info: PartitionInfo, columns: dict[str, str] | None, filled: bool) -> str | None:
    if columns is None:
        return "its table is missing"
    for piece in info.pieces:
        for column, dtype in features(piece.schema):
            server = kind_of(column, dtype).server
            if columns.get(column) != server:
                return f"its table has column {column} as {columns.get(column, 'nothing')} instead of {server}"
    return None if filled else f"its table is empty, the manifest counts {info.rows} rows"


def _deep(con: PgConnection, manifest: PgManifest, info: PartitionInfo) -> str | None:
    try:
        table = whole(con, manifest, info)
        minutes = minutes_of(table, info.name)
        check_finite(table, info.name)
    except StoreError as error:
        return error.what
    start = 0
    for piece in info.pieces:
        rows, part = table.slice(start, piece.rows), minutes[start : start + piece.rows]
        if ts_fingerprint(part) != piece.ts_hash:
            return "its minutes are not those the manifest knows"
        if content_hash(rows) != piece.content_hash:
            return "its contents are not those the manifest knows"
        start += piece.rows
    return None


def _unlisted(con: PgConnection, manifest: PgManifest, tables: set[str]) -> list[Problem]:
    """Partitions' tables that hold rows nobody committed."""
    from psycopg import sql

    made = {str(row[0]) for row in con.execute("SELECT name FROM relation WHERE ym IS NOT NULL AND origin = 'made'")}
    found = []
    for table in sorted(tables & made):
        query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(manifest.layout.schema, table))
        row = con.raw.execute(query).fetchone()
        if row and row[0]:
            what = "its table holds rows that the manifest does not know"
            found.append(Problem(table, f"postgresql/{table}", what, _REBUILD))
    return found
