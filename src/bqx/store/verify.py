"""Compare files with what the manifest says of them."""

from __future__ import annotations

import polars as pl

from bqx.base.errors import StoreError
from bqx.store.content import content_hash
from bqx.store.contract import Piece, Problem
from bqx.store.files import Files, Written
from bqx.store.fingerprint import ts_fingerprint
from bqx.store.listing import list_partitions
from bqx.store.manifest import Manifest
from bqx.store.stage import check_finite, minutes_of

_REBUILD = "rebuild the partition: bqx build run"
_REIMPORT = "import the bars of that month again"


def verify(files: Files, manifest: Manifest, *, deep: bool = False) -> list[Problem]:
    """Every file of every generation: there and of its size; `deep`: bytes, rows, order, fingerprints, contents."""
    problems = _check_manifest(manifest)
    seen: dict[str, str | None] = {}
    for info in list_partitions(manifest, every_generation=True):
        for piece in info.pieces:
            if piece.path not in seen:
                seen[piece.path] = files.damage(piece.file, deep)
            wrong = seen[piece.path] or (_check_piece(files, piece, info.key.pair) if deep else None)
            if wrong:
                problems.append(Problem(info.name, piece.path, wrong, _REBUILD))
    problems += check_bars(files, manifest, deep)
    return problems


def _check_manifest(manifest: Manifest) -> list[Problem]:
    fix = "restore manifest.sqlite from a copy"
    return [Problem("", manifest.path.name, line, fix) for line in manifest.damage()]


def _check_piece(files: Files, piece: Piece, pair: str) -> str | None:
    table = pl.read_parquet(files.fetch([piece.file])[0], glob=False, memory_map=False)
    schema = tuple((name, str(dtype)) for name, dtype in table.schema.items())
    if schema != piece.schema:
        return f"the file has columns {schema} instead of {piece.schema}"
    if piece.kind == "tail":
        table = table.slice(piece.row_start, piece.rows)
        if table["pair"].unique().to_list() != [pair]:
            return f"its rows are not those of {pair}"
        table = table.drop("pair")
    if table.height != piece.rows:
        return f"the file has {table.height} rows instead of {piece.rows}"
    try:
        minutes = minutes_of(table, piece.path)
        check_finite(table, piece.path)
    except StoreError as error:
        return error.what
    if ts_fingerprint(minutes) != piece.ts_hash:
        return "its minutes are not those the manifest knows"
    if content_hash(table) != piece.content_hash:
        return "its contents are not those the manifest knows"
    return None


def check_bars(files: Files, manifest: Manifest, deep: bool) -> list[Problem]:
    """Every version of every month of bars."""
    with manifest.connection() as con:
        rows = con.execute(
            "SELECT m.pair, m.ym, m.rows, m.content_hash, f.path, f.bytes, f.file_hash "
            "FROM bar_month m JOIN file f ON f.id = m.file_id ORDER BY m.pair, m.ym, m.known_from"
        ).fetchall()
    problems = []
    for pair, ym, count, content, path, size, digest in rows:
        file = Written(path, size, digest)
        wrong = files.damage(file, deep)
        if wrong is None and deep:
            table = pl.read_parquet(files.fetch([file])[0], glob=False, memory_map=False)
            if table.height != count or content_hash(table) != content:
                wrong = "its bars are not those the manifest knows"
        if wrong:
            problems.append(Problem(f"bars_{pair}_{ym}", path, wrong, _REIMPORT))
    return problems
