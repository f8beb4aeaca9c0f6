"""Make receipts visible: one transaction, whatever their number."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from bqx.base.errors import StoreError
from bqx.store.contract import Receipt
from bqx.store.files import Files
from bqx.store.known import AsOf, known_us
from bqx.store.manifest import Manifest


def commit(files: Files, manifest: Manifest, receipts: Iterable[Receipt], *, known_at: AsOf = None) -> int:
    """Month receipts replace their partition by a new generation, tail receipts add a piece to it.

    A month receipt equal to the current generation changes nothing. Returns the number of partitions changed;
    raises StoreError, with nothing changed, when a file is gone or a tail does not follow its partition.
    """
    batch = sorted(receipts, key=lambda r: (r.key, r.first_minute))
    check_batch(batch)
    with manifest.transaction(faults=True) as con:
        check_files(
            files, [(r.key.name, r.path, r.bytes) for r in batch]
        )  # inside the transaction: gc deletes files inside one too
        fresh = [(receipt, at) for receipt in batch if not is_current(con, receipt, at := partition_id(con, receipt))]
        if not fresh:
            return 0
        known = manifest.tick(con, "commit", known_us(known_at))
        for receipt, partition in fresh:
            if receipt.kind == "month":
                _put_month(con, receipt, partition, known)
            else:
                put_tail(con, receipt, partition, known)
        return len({partition for _, partition in fresh})


def file_id(con: sqlite3.Connection, path: str, size: int, digest: str, columns: str) -> int:
    """Id of the file's row, made when new."""
    row = con.execute("SELECT id, file_hash FROM file WHERE path = ?", (path,)).fetchone()
    if row is None:
        sql = "INSERT INTO file (path, bytes, file_hash, columns) VALUES (?, ?, ?, ?)"
        return int(con.execute(sql, (path, size, digest, columns)).lastrowid or 0)
    if row[1] != digest:
        raise StoreError(f"the manifest knows this file with hash {row[1]}, not {digest}", where=path)
    return int(row[0])


def check_batch(batch: Sequence[Receipt]) -> None:
    """Raise StoreError when a month is staged twice."""
    months = [r.key for r in batch if r.kind == "month"]
    twice = {key.name for key in months if months.count(key) > 1} if len(set(months)) < len(months) else set()
    if twice:
        raise StoreError(f"one commit holds {sorted(twice)[0]} twice", fix="stage each partition once")


def check_files(files: Files, staged: Iterable[tuple[str, str, int]]) -> None:
    """Raise StoreError unless each (name, path, bytes) is there in full."""
    wanted_files = list(staged)
    sizes = files.sizes([path for _, path, _ in wanted_files])
    for (name, path, wanted), size in zip(wanted_files, sizes, strict=True):
        if size != wanted:
            found = "is gone" if size is None else f"has {size} bytes instead of {wanted}"
            raise StoreError(f"the staged file {found}", where=f"{name} {path}", fix="run the same command again")


def partition_id(con: sqlite3.Connection, receipt: Receipt) -> int:
    """Id of the receipt's partition, made when new."""
    key = receipt.key
    sql = (
        "SELECT p.id FROM partition p JOIN dataset d ON d.id = p.dataset_id "
        "WHERE d.name = ?1 AND p.pair = ?2 AND p.ym = ?3"
    )
    row = con.execute(sql, (key.dataset, key.pair, key.ym)).fetchone()
    if row is not None:
        return int(row[0])
    con.execute("INSERT INTO dataset (name) VALUES (?) ON CONFLICT DO NOTHING", (key.dataset,))
    made = con.execute(
        "INSERT INTO partition (dataset_id, pair, ym) SELECT id, ?2, ?3 FROM dataset WHERE name = ?1",
        (key.dataset, key.pair, key.ym),
    )
    return int(made.lastrowid or 0)


def is_current(con: sqlite3.Connection, r: Receipt, partition: int) -> bool:
    """Whether the current generation is exactly this month receipt."""
    rows = con.execute(
        "SELECT f.file_hash, p.kind, p.input_hash, p.code_version, p.complete_through, g.simulated "
        "FROM generation g JOIN piece p ON p.generation_id = g.id JOIN file f ON f.id = p.file_id "
        "WHERE g.partition_id = ? AND g.known_to IS NULL",
        (partition,),
    ).fetchall()
    return rows == [(r.file_hash, "month", r.input_hash, r.code_version, r.complete_through, int(r.simulated))] and (
        r.kind == "month"
    )


def _put_month(con: sqlite3.Connection, receipt: Receipt, partition: int, known: int) -> None:
    con.execute("UPDATE generation SET known_to = ? WHERE partition_id = ? AND known_to IS NULL", (known, partition))
    put_piece(con, receipt, new_generation(con, receipt, partition, known), 0, known)


def check_tail(con: sqlite3.Connection, receipt: Receipt, partition: int) -> tuple[int, int] | None:
    """Generation and last piece that a tail goes on from, None before the first; StoreError when it does not follow."""
    row = con.execute(
        "SELECT g.id, max(p.seq), max(p.complete_through), g.simulated FROM generation g "
        "JOIN piece p ON p.generation_id = g.id WHERE g.partition_id = ? AND g.known_to IS NULL GROUP BY g.id",
        (partition,),
    ).fetchone()
    if row is None:
        return None
    generation, seq, through, simulated = row
    if receipt.first_minute <= through:
        raise StoreError(
            f"the tail begins at minute {receipt.first_minute}, the partition is complete through {through}",
            where=receipt.key.name,
            fix="append only later minutes; rebuild the month to change earlier ones",
        )
    if bool(simulated) != receipt.simulated:
        raise StoreError("a tail cannot mix simulated and real rows in one partition", where=receipt.key.name)
    return int(generation), int(seq)


def put_tail(con: sqlite3.Connection, receipt: Receipt, partition: int, known: int) -> None:
    """A piece after the partition's last one, or its first; raises StoreError when it does not follow."""
    found = check_tail(con, receipt, partition)
    generation, seq = found or (new_generation(con, receipt, partition, known), -1)
    put_piece(con, receipt, generation, seq + 1, known)


def new_generation(con: sqlite3.Connection, receipt: Receipt, partition: int, known: int) -> int:
    """Id of a generation without pieces."""
    sql = "INSERT INTO generation (partition_id, known_from, simulated) VALUES (?, ?, ?)"
    return int(con.execute(sql, (partition, known, int(receipt.simulated))).lastrowid or 0)


def put_piece(con: sqlite3.Connection, r: Receipt, generation: int, seq: int, known: int) -> None:
    """A receipt as piece `seq` of a generation."""
    file = file_id(con, r.path, r.bytes, r.file_hash, json.dumps(r.schema))
    con.execute(
        "INSERT INTO piece (generation_id, seq, file_id, known_from, kind, row_start, rows, first_minute, last_minute,"
        " complete_through, ts_hash, content_hash, input_hash, code_version, null_counts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            generation, seq, file, known, r.kind, r.row_start, r.rows, r.first_minute, r.last_minute,
            r.complete_through, r.ts_hash, r.content_hash, r.input_hash, r.code_version,
            json.dumps(dict(r.null_counts)),
        ),
    )  # fmt: skip
