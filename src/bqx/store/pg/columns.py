"""Column types: Polars and PostgreSQL, and how a value travels in COPY BINARY."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from bqx.base.errors import Unsupported
from bqx.store.contract import Schema


@dataclass(frozen=True, slots=True)
class Kind:
    """server : the type in the table. wire : NumPy type of its big-endian value in COPY BINARY."""

    polars: pl.DataType
    server: str
    wire: str


KINDS: dict[str, Kind] = {
    str(kind.polars): kind
    for kind in (
        Kind(pl.Float32(), "real", ">f4"),
        Kind(pl.Float64(), "double precision", ">f8"),
        Kind(pl.Int16(), "smallint", ">i2"),
        Kind(pl.Int32(), "integer", ">i4"),
        Kind(pl.Int64(), "bigint", ">i8"),
    )
}
"""By the name of the Polars type, as schemas write it."""


def kind_of(column: str, dtype: str) -> Kind:
    """Raises Unsupported for a type that feature tables do not have."""
    if dtype not in KINDS:
        raise Unsupported(
            f"column {column} is {dtype}", where="the PostgreSQL store", fix=f"it keeps {', '.join(KINDS)}"
        )
    return KINDS[dtype]


def features(schema: Schema) -> Schema:
    """The feature columns of a schema, in order."""
    return tuple((name, dtype) for name, dtype in schema if name not in ("pair", "ts_utc"))
