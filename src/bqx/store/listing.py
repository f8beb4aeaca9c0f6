"""Read partitions from the manifest, as they are or as they were known."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from bqx.store.contract import PartitionInfo, Piece, Schema
from bqx.store.manifest import Manifest
from bqx.store.partition import PartitionKey

_SELECT = """
SELECT d.name, q.pair, q.ym, g.id, g.known_from, g.known_to, g.simulated,
       f.path, p.kind, p.row_start, p.rows, p.first_minute, p.last_minute, p.complete_through, p.known_from,
       f.file_hash, p.content_hash, p.ts_hash, p.input_hash, p.code_version, f.columns, p.null_counts, f.bytes
FROM dataset d JOIN partition q ON q.dataset_id = d.id JOIN generation g ON g.partition_id = q.id
JOIN piece p ON p.generation_id = g.id JOIN file f ON f.id = p.file_id
WHERE {where} ORDER BY d.name, q.pair, q.ym, g.known_from, p.seq"""


def list_partitions(
    manifest: Manifest,
    *,
    as_of: int | None = None,
    dataset: str | None = None,
    pair: str | None = None,
    every_generation: bool = False,
) -> list[PartitionInfo]:
    """Ordered by dataset, pair, month; with `every_generation` superseded ones too."""
    where, values = ["1 = 1"], []
    if not every_generation:
        if as_of is None:
            where.append("g.known_to IS NULL")
        else:
            where.append("g.known_from <= ? AND (g.known_to IS NULL OR g.known_to > ?) AND p.known_from <= ?")
            values += [as_of, as_of, as_of]
    names: list[str | int] = [*values]
    for column, value in (("d.name", dataset), ("q.pair", pair)):
        if value is not None:
            where.append(f"{column} = ?")
            names.append(value)
    with manifest.connection() as con:
        rows = con.execute(_SELECT.format(where=" AND ".join(where)), names).fetchall()
    return [_info(list(group)) for _, group in groupby(rows, key=lambda row: row[3])]


_NEWEST = """
SELECT d.name, q.pair, q.ym, p.complete_through, p.input_hash, f.columns
FROM dataset d JOIN partition q ON q.dataset_id = d.id JOIN generation g ON g.partition_id = q.id
JOIN piece p ON p.generation_id = g.id JOIN file f ON f.id = p.file_id
WHERE q.ym IN ({months}) AND g.known_to IS NULL
AND p.seq = (SELECT max(o.seq) FROM piece o WHERE o.generation_id = g.id)"""


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a partition ends: the last minute it speaks for, the hash of its inputs up to there, its columns."""

    through: int
    input_hash: str
    columns: tuple[str, ...]


def endings(manifest: Manifest, months: Sequence[str]) -> dict[PartitionKey, Ending]:
    """The current partitions of some months, however many pieces each is in."""
    with manifest.connection() as con:
        rows = con.execute(_NEWEST.format(months=", ".join("?" * len(months))), list(months)).fetchall()
    return {
        PartitionKey(dataset, pair, ym): Ending(
            through, digest, tuple(name for name, _ in parse_schema(text) if name not in ("pair", "ts_utc"))
        )
        for dataset, pair, ym, through, digest, text in rows
    }


def newest_month(manifest: Manifest) -> str | None:
    """The latest month of which there is a partition."""
    sql = "SELECT max(q.ym) FROM partition q JOIN generation g ON g.partition_id = q.id WHERE g.known_to IS NULL"
    with manifest.connection() as con:
        row = con.execute(sql).fetchone()
    return None if row is None or row[0] is None else str(row[0])


@lru_cache(maxsize=4096)
def parse_schema(text: str) -> Schema:
    return tuple((str(name), str(kind)) for name, kind in json.loads(text))


def dataset_names(con: sqlite3.Connection) -> list[str]:
    """Datasets that have, or had, partitions."""
    return [str(row[0]) for row in con.execute("SELECT name FROM dataset ORDER BY name")]


def _info(rows: list[tuple[object, ...]]) -> PartitionInfo:
    head = rows[0]
    dataset, pair, ym, generation, known_from, known_to, simulated = head[:7]
    return PartitionInfo(
        PartitionKey(str(dataset), str(pair), str(ym)),
        int(str(generation)),
        int(str(known_from)),
        None if known_to is None else int(str(known_to)),
        bool(simulated),
        tuple(_piece(row) for row in rows),
    )


def _piece(row: tuple[object, ...]) -> Piece:
    fields = list(row[7:])
    fields[13] = parse_schema(str(fields[13]))
    return Piece(*fields)  # type: ignore[arg-type]  # columns of _SELECT in the order of Piece
