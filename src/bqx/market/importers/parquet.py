"""A Parquet file as rows that errors and quarantine can point at."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from bqx.base.errors import InputError
from bqx.market.importers.text import CHUNK, MAX_FILE, Text

MAGIC = b"PAR1"
MAX_ROWS = 20_000_000


@dataclass(frozen=True, slots=True)
class Rows(Text):
    """frame: the table; `data` is empty. A line is the number of a row, from 1."""

    frame: pl.DataFrame = field(default_factory=pl.DataFrame)

    def where(self, line: int) -> str:
        return f"{self.name}:row {line}"

    def quote(self, lines: Collection[int]) -> dict[int, str]:
        return {n: ",".join(str(x) for x in self.frame.row(n - 1)) for n in lines}


def load(path: Path, *, rows: int | None = None) -> Rows:
    """The table, or its first rows; InputError for a file that is damaged or holds more than MAX_ROWS."""
    name = str(path)
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            raise InputError(f"is larger than {MAX_FILE >> 20} MB", where=name, fix="split it by year")
        height = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
        if height > MAX_ROWS:
            raise InputError(f"holds {height:,} rows, the limit is {MAX_ROWS:,}", where=name, fix="split it by year")
        if height == 0:
            raise InputError("holds no rows", where=f"{name}:row 1", fix="export it again")
        frame = pl.read_parquet(path, glob=False, n_rows=rows, memory_map=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as exc:
        raise InputError(
            f"Parquet file is damaged or truncated: {str(exc)[:120]}", where=f"{name}:1", fix="export it again"
        ) from exc
    return Rows(name, path, path.name, b"", _digest(path) if rows is None else "", size, frame)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
