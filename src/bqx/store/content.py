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
    parts = list(spans)
    states = [xxhash.xxh3_128(f"rows={stop - start}".encode()) for start, stop in parts]
    filled = _filled(table)
    for series in table:
        column = _column(series, filled.get(series.name))
        for state, (start, stop) in zip(states, parts, strict=True):
            mask = None if column.null is None else column.null[start:stop]
            nulls = 0 if mask is None else int(np.count_nonzero(mask))
            state.update(f"\n{column.name}:{column.kind}:{nulls}\n".encode())
            if mask is not None and nulls:
                state.update(np.packbits(mask).data)
            state.update(column.bytes(start, stop))
    return [str(state.hexdigest()) for state in states]


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


def _filled(table: pl.DataFrame) -> dict[str, NDArray[Any]]:
    """Float columns that have NULL, with NaN there, in one pass over all of them; NaN as a value is left out."""
    holed = [s.name for s in table if s.dtype.is_float() and s.null_count()]
    if not holed:
        return {}
    whole = table.select(pl.col(holed).fill_null(float("nan"))).rechunk()
    return {series.name: series.to_numpy() for series in whole}


def _column(series: pl.Series, filled: NDArray[Any] | None = None) -> _Column:
    if filled is not None:
        mask = np.isnan(filled)
        if np.count_nonzero(mask) == series.null_count():
            zeroed = np.where(mask, filled.dtype.type(0), filled)
            little = zeroed.astype(zeroed.dtype.newbyteorder("<"), copy=False)
            return _Column(series.name, str(series.dtype), little, mask)
    null = series.is_null().to_numpy() if series.null_count() else None
    if series.dtype == pl.String:
        values = np.array([(text or "").encode() for text in series], dtype=object)
        return _Column(series.name, str(series.dtype), values, null)
    plain = series.cast(pl.UInt8) if series.dtype == pl.Boolean else series
    plain = plain.cast(pl.Int64) if plain.dtype.is_temporal() else plain
    numbers = (plain.fill_null(0) if null is not None else plain).rechunk().to_numpy()
    little = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)
    return _Column(series.name, str(series.dtype), np.ascontiguousarray(little), null)
