"""A hash of what a table says, whatever wrote it: the same for every codec, library version and machine."""

from __future__ import annotations

import numpy as np
import polars as pl
import xxhash


def content_hash(table: pl.DataFrame) -> str:
    """xxh3-128 (hex) over column names and types, then each column's little-endian values and null mask.

    Values under a NULL count as zero, so only what a reader can see enters. Booleans and numbers as stored,
    times as their integers, texts as length-prefixed UTF-8.
    """
    state = xxhash.xxh3_128()
    state.update(f"rows={table.height}".encode())
    for column in table:
        state.update(f"\n{column.name}:{column.dtype}:{column.null_count()}\n".encode())
        if column.null_count():
            state.update(np.packbits(column.is_null().to_numpy()).tobytes())
        if column.dtype == pl.String:
            for text in column.fill_null(""):
                raw = text.encode()
                state.update(len(raw).to_bytes(8, "little") + raw)
            continue
        values = _physical(column)
        state.update(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False)).data)
    return str(state.hexdigest())


def _physical(column: pl.Series) -> np.ndarray:
    numbers = column.to_physical().rechunk()
    if numbers.dtype == pl.Boolean:
        numbers = numbers.cast(pl.UInt8)
    if numbers.null_count():
        numbers = numbers.fill_null(0)
    return numbers.to_numpy()
