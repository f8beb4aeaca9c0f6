"""Spans [start, end) of minutes, as conditions on `ts_utc`."""

from __future__ import annotations

import polars as pl

from bqx.market.calendar import datetime_of

Span = tuple[int, int]
_LAST = 4_223_370_240
"""The first minute of the last day of the year 9999, the last one Python knows; ends beyond it mean the same."""


def in_span(span: Span) -> pl.Expr:
    low, high = (pl.lit(datetime_of(min(max(minute, 0), _LAST))) for minute in span)
    return (pl.col("ts_utc") >= low) & (pl.col("ts_utc") < high)


def span_text(span: Span | None) -> str:
    """` from ... to ...` for messages, empty without a span."""
    if span is None:
        return ""
    start, end = (datetime_of(min(max(minute, 0), _LAST)).strftime("%Y-%m-%d %H:%M") for minute in span)
    return f" from {start} to {end} UTC"
