"""What an importer delivers before clock and rows are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS
from bqx.market.fileclock import FileClock
from bqx.market.findings import Finding
from bqx.market.importers.text import Text

RAW_SCHEMA: dict[str, pl.DataType] = {
    "file": pl.Int32(),
    "line": pl.Int64(),
    "file2": pl.Int32(),
    "line2": pl.Int64(),
    "stamp": pl.Datetime("us"),
    "issue": pl.String(),
    "padding": pl.Boolean(),
    **dict.fromkeys(PRICE_COLUMNS, pl.Float64()),
    "volume": pl.Float64(),
    **dict.fromkeys(QUOTE_COLUMNS, pl.Float64()),
}


@dataclass(frozen=True, slots=True)
class RawBars:
    """Rows of one pair in the order of the files, on the files' own clock.

    frame : RAW_SCHEMA; `file` and `line` say where a row stands, `file2` and `line2` where its ask side stands when
        that is another file, `issue` why the importer cannot make a bar of it.
    `padding` marks candles that a vendor wrote for minutes without a tick (null: not padding).
    stated : UTC offset that the file itself states for its times ("+00:00"), else None; `stamp` is then in UTC.
    clock, clock_by : the clock `stamp` is on when format or file state it, and which: "by the format", "in the file".
    findings : what the importer has to tell of its own.
    """

    pair: str
    format: str
    price_side: str
    texts: tuple[Text, ...]
    frame: pl.DataFrame
    stated: str | None = None
    clock: FileClock | None = None
    clock_by: str = "in the file"
    findings: tuple[Finding, ...] = ()

    @property
    def rows(self) -> pl.DataFrame:
        """`frame` without the padding."""
        return self.frame.filter(~pl.col("padding").fill_null(False))

    def locate(self, minute: int) -> str:
        """file:line of the first row stamped in that minute of the file's clock."""
        row = self.frame.filter(pl.col("stamp").to_physical() // 60_000_000 == minute).row(0, named=True)
        first = ("file", "line") if row["line"] is not None else ("file2", "line2")
        return self.where(row[first[0]], row[first[1]])

    def where(self, file: int, line: int) -> str:
        return self.texts[file].where(line)


def as_raw(frame: pl.DataFrame) -> pl.DataFrame:
    """Add absent columns as nulls, order and cast to RAW_SCHEMA."""
    cast: Mapping[str, pl.Expr] = {
        name: (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in RAW_SCHEMA.items()
    }
    return frame.select(cast.values())


def mids() -> list[pl.Expr]:
    """Mid of bid and ask for each price field."""
    return [((pl.col(f"bid_{c}") + pl.col(f"ask_{c}")) / 2).alias(c) for c in PRICE_COLUMNS]
