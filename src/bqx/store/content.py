"""A hash of what a table says, whatever wrote it: the same for every codec, library version and machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray


def content_hash(table: pl.DataFrame) -> str:
    """xxh3-128 (hex) over column names and types, then each column's little-endian values and null mask.

    Values under a NULL count as zero, so only what a reader can see enters. Booleans and numbers as stored,
    times as their integers, texts as length-prefixed UTF-8.
    """
    return content_hashes(table, [(0, table.height)])[0]


def content_hashes(table: pl.DataFrame, spans: Iterable[tuple[int, int]]) -> list[str]:
    """Content hash of the rows [start, stop) of each span, as if they were tables of their own."""
    columns = [_column(series) for series in table]
    out = []
    for start, stop in spans:
        state = xxhash.xxh3_128(f"rows={stop - start}".encode())
        for column in columns:
            mask = None if column.null is None else column.null[start:stop]
            nulls = 0 if mask is None else int(mask.sum())
            state.update(f"\n{column.name}:{column.kind}:{nulls}\n".encode())
            if mask is not None and nulls:
                state.update(np.packbits(mask).data)
            state.update(column.bytes(start, stop))
        out.append(str(state.hexdigest()))
    return out


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    kind: str
    values: NDArray[Any]
    null: NDArray[np.bool_] | None

    def bytes(self, start: int, stop: int) -> bytes | memoryview:
        rows = self.values[start:stop]
        if rows.dtype == object:
            return b"".join(len(raw).to_bytes(8, "little") + raw for raw in rows)
        return rows.data


def _column(series: pl.Series) -> _Column:
    null = series.is_null().to_numpy() if series.null_count() else None
    if series.dtype == pl.String:
        values = np.array([(text or "").encode() for text in series], dtype=object)
        return _Column(series.name, str(series.dtype), values, null)
    plain = series.cast(pl.UInt8) if series.dtype == pl.Boolean else series
    plain = plain.cast(pl.Int64) if plain.dtype.is_temporal() else plain
    numbers = (plain.fill_null(0) if null is not None else plain).rechunk().to_numpy()
    little = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)
    return _Column(series.name, str(series.dtype), np.ascontiguousarray(little), null)
