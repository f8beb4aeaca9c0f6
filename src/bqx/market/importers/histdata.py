"""HistData's ASCII minute bars: `YYYYMMDD HHMMSS;open;high;low;close;volume`, bid prices, a volume that is always 0.

The format states its clock: Eastern Standard Time all year, five hours behind UTC, without summer time.
"""

from __future__ import annotations

import re
from dataclasses import replace

import polars as pl

from bqx.market.fileclock import FileClock
from bqx.market.importers import metatrader
from bqx.market.importers.raw import RawBars
from bqx.market.importers.text import Text

CLOCK = FileClock.fixed(-300)
_LINE = re.compile(r"\d{8} \d{6}(;[^;]*){5}")


def matches(data: bytes) -> bool:
    return _LINE.fullmatch(metatrader.first_line(data)) is not None


def read(texts: tuple[Text, ...], pair: str) -> RawBars:
    """Files of one pair in the order of their first bars; a volume of nothing but zeros is none."""
    raw = metatrader.read(texts, pair)
    frame = raw.frame
    if not (frame["volume"] > 0).any():
        frame = frame.with_columns(volume=pl.lit(None, dtype=pl.Float64))
    return replace(raw, format="histdata", price_side="bid", frame=frame, clock=CLOCK, clock_by="by the format")
