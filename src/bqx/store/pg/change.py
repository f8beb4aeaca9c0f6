"""Rename, drop and compact partitions on a server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import cast

import xxhash

from bqx.base.errors import RoleError, StoreError
from bqx.store import rename as manifest_rename
from bqx.store.collect import current
from bqx.store.compact import Compacted, has_tail
from bqx.store.content import content_hash
from bqx.store.contract import PartitionInfo
from bqx.store.files import Written
from bqx.store.listing import list_partitions
from bqx.store.partition import PartitionKey
from bqx.store.pg import ddl
from bqx.store.pg.commit import forget, put
from bqx.store.pg.encode import encode
from bqx.store.pg.manifest import PgManifest
from bqx.store.pg.rows import whole
from bqx.store.stage import minutes_of, receipt


def rename(manifest: PgManifest, plan: Mapping[str, str]) -> int:
    """Rename datasets with their tables, all or none; see `bqx.store.rename.rename`. The tables' owner only."""
    with manifest.writing(faults=True) as pg:
        con = cast(sqlite3.Connection, pg)
        pg.lock()
        count = manifest_rename.rename_in(con, manifest, plan)
        rows = con.execute("SELECT name, dataset FROM relation").fetchall()
        moved = [(name, f"{plan[dataset]}{name[len(dataset) :]}", dataset) for name, dataset in rows if dataset in plan]
        schema = manifest.layout.schema
        for old, _, _ in moved:  # over a name nobody has, so that swaps meet no name that is taken
            pg.raw.execute(ddl.rename(schema, old, f"~{old}"))
        for old, new, _ in moved:
            pg.raw.execute(ddl.rename(schema, f"~{old}", new))
        con.executemany("UPDATE relation SET name = ? WHERE name = ?", [(f"~{new}", old) for old, new, _ in moved])
        con.executemany(
            "UPDATE relation SET name = ?, dataset = ? WHERE name = ?",
            [(new, plan[dataset], f"~{new}") for _, new, dataset in moved],
        )
    return count


def drop(manifest: PgManifest, keys: Iterable[PartitionKey], *, dry_run: bool = False) -> list[PartitionInfo]:
    """Remove the rows of partitions, their tables stay; StoreError, with nothing changed, for an absent one."""
    from psycopg import sql

    wanted = sorted(set(keys))
    if dry_run:
        return [info for info, _ in current(manifest, wanted)]
    with manifest.writing(faults=True) as pg:
        con = cast(sqlite3.Connection, pg)
        pg.lock_names(key.name for key in wanted)
        found = [info for info, _ in current(manifest, wanted)]
        for info in found:
            row = con.execute("SELECT origin FROM relation WHERE name = ?", (info.name,)).fetchone()
            if row is not None and row[0] == "adopted":
                raise RoleError("this table was adopted, so its rows are not bqx's to delete", where=info.name)
            pg.raw.execute(sql.SQL("DELETE FROM {}").format(manifest.layout.leaf(info.key)))
        pg.lock()
        if found:
            manifest.tick(con, "drop")
            for info in found:
                forget(con, _partition(con, info))
            con.executemany("DELETE FROM unit WHERE dataset = ? AND ym = ?", [(key.dataset, key.ym) for key in wanted])
    return found


def compact(manifest: PgManifest, dataset: str | None = None, *, dry_run: bool = False) -> Compacted:
    """Make one piece of every partition that tails were appended to. No row moves: the server keeps one table either
    way; what changes is that the manifest has one content hash for it."""
    todo = [info for info in list_partitions(manifest, dataset=dataset) if has_tail(info)]
    for info in [] if dry_run else todo:
        with manifest.writing(faults=True) as pg:
            con = cast(sqlite3.Connection, pg)
            pg.lock_names([info.name])
            [now] = [i for i, _ in current(manifest, [info.key])]
            table = whole(pg, manifest, now)
            stream = b"".join(encode(table))
            written = Written("", len(stream), xxhash.xxh3_128(stream).hexdigest())
            made = receipt(
                now.key,
                table,
                minutes_of(table, now.name),
                written,
                content_hash(table),
                input_hash=now.input_hash,
                code_version=now.code_version,
                complete_through=now.complete_through,
                simulated=now.simulated,
            )
            pg.lock()
            put(con, made, _partition(con, now), manifest.tick(con, "commit"))
    return Compacted(tuple(info.name for info in todo), sum(len(info.pieces) for info in todo), dry_run)


def _partition(con: sqlite3.Connection, info: PartitionInfo) -> int:
    row = con.execute("SELECT partition_id FROM generation WHERE id = ?", (info.generation,)).fetchone()
    if row is None:
        raise StoreError("it changed meanwhile", where=info.name, fix="run it again")
    return int(row[0])
