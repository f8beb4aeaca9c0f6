"""COPY BINARY back into a frame. Rows must have one size, so NULLs are asked for in disguise, see `selected`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import StoreError
from bqx.store.contract import Schema
from bqx.store.pg.columns import kind_of
from bqx.store.pg.encode import EPOCH_US, HEAD, TAIL
from bqx.store.pg.quoting import name

if TYPE_CHECKING:
    from psycopg.sql import Composable

_CHUNK = 1 << 24


def selected(columns: Schema, nullable: Sequence[str]) -> Composable:
    """The select list that `decode` expects: a NULL float comes as NaN (which is never stored), a NULL integer as 0
    beside a flag. Columns outside `nullable` are asked for as they are, for COALESCE costs the server time."""
    from psycopg import sql

    parts: list[Composable] = [sql.SQL("ts_utc")]
    for column, dtype in columns:
        kind = kind_of(column, dtype)
        if column not in nullable:
            parts.append(name(column))
        elif kind.wire.startswith(">f"):
            parts.append(sql.SQL("COALESCE({}, 'NaN')").format(name(column)))
        else:
            zero = f"COALESCE({{c}}, CAST(0 AS {kind.server})), {{c}} IS NULL"
            parts.append(sql.SQL(zero).format(c=name(column)))
    return sql.SQL(", ").join(parts)


def decode(
    stream: Iterable[bytes | bytearray | memoryview], columns: Schema, nullable: Sequence[str], where: str
) -> pl.DataFrame:
    """The frame of a stream that `selected` asked for: ts_utc, then `columns`.

    Raises StoreError when rows are not of the size that follows, that is, when a column outside `nullable` has NULLs.
    """
    row = _row_type(columns, nullable)
    frames, held, size = [], [], 0
    head = len(HEAD)
    for block in stream:
        part = bytes(block)
        if head:  # it may come cut
            part, head = part[head:], max(0, head - len(part))
        held.append(part)
        size += len(part)
        if size >= _CHUNK:
            data = b"".join(held)
            whole = len(data) // row.itemsize * row.itemsize
            frames.append(_frame(np.frombuffer(data[:whole], dtype=row), columns, nullable, where))
            held = [data[whole:]]
            size = len(held[0])
    data = b"".join(held)
    if not data.endswith(TAIL) or (len(data) - len(TAIL)) % row.itemsize:
        raise StoreError("its rows hold NULLs where the manifest counts none", where=where, fix="build it again")
    frames.append(_frame(np.frombuffer(data[: -len(TAIL)], dtype=row), columns, nullable, where))
    table = pl.concat(frames)
    return table if table["ts_utc"].is_sorted() else table.sort("ts_utc")  # wide rows fill gaps of earlier pages


def _row_type(columns: Schema, nullable: Sequence[str]) -> np.dtype[Any]:
    fields: list[tuple[str, str]] = [("fields", ">i2"), ("n.ts_utc", ">i4"), ("v.ts_utc", ">i8")]
    for column, dtype in columns:
        kind = kind_of(column, dtype)
        fields += [(f"n.{column}", ">i4"), (f"v.{column}", kind.wire)]
        if column in nullable and not kind.wire.startswith(">f"):
            fields += [(f"n0.{column}", ">i4"), (f"null.{column}", ">u1")]
    return np.dtype(fields)


def _frame(rows: NDArray[Any], columns: Schema, nullable: Sequence[str], where: str) -> pl.DataFrame:
    assert rows.dtype.names is not None
    count = sum(field.startswith(("v.", "null.")) for field in rows.dtype.names)
    sizes = {field: rows.dtype[field.replace("n0.", "null.") if field.startswith("n0.") else f"v.{field[2:]}"].itemsize
             for field in rows.dtype.names if field.startswith(("n.", "n0."))}  # fmt: skip
    if len(rows) and (
        (rows["fields"] != count).any() or any((rows[field] != size).any() for field, size in sizes.items())
    ):
        raise StoreError("its rows hold NULLs where the manifest counts none", where=where, fix="build it again")
    stamps = rows["v.ts_utc"].astype(np.int64) + EPOCH_US
    out = [pl.Series("ts_utc", stamps).cast(pl.Datetime("us", "UTC"))]
    for column, dtype in columns:
        values = rows[f"v.{column}"]
        series = pl.Series(column, values.astype(values.dtype.newbyteorder("=")), nan_to_null=True)
        if f"null.{column}" in rows.dtype.names:
            null = pl.Series(rows[f"null.{column}"] != 0)
            series = pl.select(pl.when(~null).then(series)).to_series().alias(column)
        out.append(series.cast(kind_of(column, dtype).polars))
    return pl.DataFrame(out)
