"""Candles that a vendor writes for minutes without a tick."""

from __future__ import annotations

import polars as pl


def mark_padding(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `padding`: a flat candle without volume at the close of the row before (or the first row of all).

    A flat candle at a new price tells something, with volume or without: it stays a bar. Without a volume column
    nothing can be told.
    """
    if "volume" not in frame.columns:
        return frame.with_columns(padding=pl.lit(False))
    flat = (pl.col("high") == pl.col("low")) & (pl.col("open") == pl.col("close")) & (pl.col("high") == pl.col("open"))
    carried = pl.col("open").eq(pl.col("close").shift(1)).fill_null(True)
    return frame.with_columns(padding=flat & (pl.col("volume") == 0) & carried)
