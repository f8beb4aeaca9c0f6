"""Rows and receipts become visible together: one transaction, sent again when the server went away meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from bqx.base.errors import RoleError, ServerError, StoreError
from bqx.base.faults import fault
from bqx.store import commit as manifest_rows
from bqx.store.contract import Receipt
from bqx.store.known import AsOf, known_us
from bqx.store.pg.columns import features
from bqx.store.pg.layout import Layout
from bqx.store.pg.manifest import PgConnection, PgManifest
from bqx.store.pg.quoting import name
from bqx.store.pg.spool import unspool

TRIES = 5
"""Attempts of one commit; the next is made when the server is back, which sessions wait for once."""


def commit(root: Path, manifest: PgManifest, receipts: Iterable[Receipt], *, known_at: AsOf = None) -> int:
    """Partitions changed. Month receipts replace all rows of their partition, tail receipts add some.

    A receipt that the manifest has already changes nothing, so that sending a commit again is harmless, also when
    only its answer was lost. Raises StoreError, with nothing changed, when a staged file is gone or a tail does not
    follow; ServerError when the server stays away.
    """
    batch = sorted(receipts, key=lambda r: (r.key, r.first_minute))
    manifest_rows.check_batch(batch)
    for attempt in range(1, TRIES + 1):
        try:
            changed = _once(root, manifest, batch, known_us(known_at))
            break
        except ServerError:
            if attempt == TRIES or manifest.sessions.away:
                raise
    for receipt in batch:
        (root / receipt.path).unlink(missing_ok=True)
    return changed


def _once(root: Path, manifest: PgManifest, batch: Sequence[Receipt], known_at: int | None) -> int:
    with manifest.writing(faults=True) as pg:
        con = cast(sqlite3.Connection, pg)
        pg.lock_names(r.key.name for r in batch)
        fresh = []
        for receipt in batch:
            partition = manifest_rows.partition_id(con, receipt)
            if not _is_there(con, receipt, partition):
                fresh.append((receipt, partition))
        _refuse_adopted(con, [receipt for receipt, _ in fresh])
        begun: set[int] = set()
        for receipt, partition in fresh:
            if receipt.kind == "tail" and partition not in begun:
                manifest_rows.check_tail(con, receipt, partition)
            goes_on = receipt.kind == "tail" and (partition in begun or _is_built(con, partition))
            begun.add(partition)
            send(root, pg, manifest.layout, receipt, clear=not goes_on)
            if receipt.kind == "month":
                con.execute("SELECT analyze_leaf(?)", (receipt.key.name,))
        fault("after-rows")
        pg.lock()
        if fresh:
            known = manifest.tick(con, "commit", known_at)
            for receipt, partition in fresh:
                put(con, receipt, partition, known)
        return len({partition for _, partition in fresh})


def put(con: sqlite3.Connection, receipt: Receipt, partition: int, known: int) -> None:
    """The receipt's rows of the manifest; a month's earlier generation goes, for its rows are gone."""
    kept = replace(receipt, path=f"postgresql/{receipt.key.name}-{receipt.content_hash[:16]}", row_start=0)
    if receipt.kind == "tail":
        manifest_rows.put_tail(con, kept, partition, known)
        return
    forget(con, partition)
    manifest_rows.put_piece(con, kept, manifest_rows.new_generation(con, kept, partition, known), 0, known)


def forget(con: sqlite3.Connection, partition: int) -> None:
    """Remove a partition's generations and the file rows only they had."""
    files = [
        int(row[0])
        for row in con.execute(
            "SELECT DISTINCT p.file_id FROM piece p JOIN generation g ON g.id = p.generation_id "
            "WHERE g.partition_id = ?",
            (partition,),
        ).fetchall()
    ]
    con.execute("DELETE FROM generation WHERE partition_id = ?", (partition,))
    con.executemany(
        "DELETE FROM file WHERE id = ? AND NOT EXISTS (SELECT 1 FROM piece p WHERE p.file_id = file.id)",
        [(file,) for file in files],
    )


def send(root: Path, pg: PgConnection, layout: Layout, receipt: Receipt, *, clear: bool) -> None:
    """COPY a staged file into its table; with `clear` the rows that are there go first, in the same transaction.

    DELETE and not TRUNCATE: readers go on seeing the old rows until the commit, and nobody waits.
    """
    from psycopg import sql

    leaf = layout.leaf(receipt.key)
    if clear:
        pg.raw.execute(sql.SQL("DELETE FROM {}").format(leaf))
    names = ["ts_utc", *(column for column, _ in features(receipt.schema))]
    listed = sql.SQL(", ").join(name(column) for column in names)
    with pg.raw.cursor() as cursor:
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(leaf, listed)) as stream:
            for block in unspool(root, receipt.path, receipt.file_hash):
                stream.write(block)
        if cursor.rowcount != receipt.rows:
            raise StoreError(f"the server took {cursor.rowcount} rows of {receipt.rows}", where=receipt.key.name)


def _is_there(con: sqlite3.Connection, receipt: Receipt, partition: int) -> bool:
    if receipt.kind == "month":
        return manifest_rows.is_current(con, receipt, partition)
    row = con.execute(
        "SELECT count(*) FROM piece p JOIN generation g ON g.id = p.generation_id WHERE g.partition_id = ? "
        "AND p.kind = 'tail' AND p.first_minute = ? AND p.complete_through = ? AND p.content_hash = ?",
        (partition, receipt.first_minute, receipt.complete_through, receipt.content_hash),
    ).fetchone()
    return bool(row[0])


def _is_built(con: sqlite3.Connection, partition: int) -> bool:
    return bool(con.execute("SELECT count(*) FROM generation WHERE partition_id = ?", (partition,)).fetchone()[0])


def _refuse_adopted(con: sqlite3.Connection, receipts: Sequence[Receipt]) -> None:
    for table in dict.fromkeys(r.key.name for r in receipts):
        row = con.execute("SELECT origin FROM relation WHERE name = ?", (table,)).fetchone()
        if row is not None and row[0] == "adopted":
            raise RoleError(
                "this table was adopted: bqx did not make it, so it does not write it",
                where=table,
                fix="`bqx store adopt --release` moves it aside and puts an empty partition in its place",
            )
