"""The schema of bars: what every importer delivers and every store keeps."""

from __future__ import annotations

import polars as pl

from bqx.base.errors import InputError

PRICE_COLUMNS = ("open", "high", "low", "close")
QUOTE_COLUMNS = tuple(f"{side}_{name}" for side in ("bid", "ask") for name in PRICE_COLUMNS)

BARS_SCHEMA: dict[str, pl.DataType] = {
    "ts_utc": pl.Datetime("us", "UTC"),
    **dict.fromkeys(PRICE_COLUMNS, pl.Float64()),
    "volume": pl.Float64(),
    **dict.fromkeys(QUOTE_COLUMNS, pl.Float64()),
}
"""One row a quoted minute, sorted and unique by `ts_utc` (start of the bar). open..close are mids when quotes exist,
else the vendor's prices; volume and quotes are null when the source has none."""


def empty_bars() -> pl.DataFrame:
    return pl.DataFrame(schema=BARS_SCHEMA)


def as_bars(frame: pl.DataFrame) -> pl.DataFrame:
    """Cast to the bars schema, adding absent volume and quotes as nulls; raises InputError when prices are absent."""
    missing = [c for c in ("ts_utc", *PRICE_COLUMNS) if c not in frame.columns]
    if missing:
        raise InputError(f"bars lack the columns {missing}", fix=f"they need {', '.join(BARS_SCHEMA)}")
    columns = [
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in BARS_SCHEMA.items()
    ]
    return frame.select(columns)
