"""FXCM minute bars: one CSV for the bid and one for the ask, header `timestamp,open,high,low,close`, ISO times."""

from __future__ import annotations

import polars as pl

from bqx.base.errors import InputError
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.importers.metatrader import first_line
from bqx.market.importers.raw import RawBars
from bqx.market.importers.sides import MID, combine
from bqx.market.importers.stamps import read_stamps
from bqx.market.importers.table import check_prices, parse_table
from bqx.market.importers.text import Text

HEADER = ("timestamp", *PRICE_COLUMNS)


def matches(data: bytes) -> bool:
    return tuple(first_line(data).lower().split(",")[:5]) == HEADER


def _side(text: Text, file: int) -> tuple[pl.DataFrame, set[str]]:
    """Columns file, line, stamp (UTC when stated), prices, perhaps volume; and the stated offsets."""
    if not matches(text.data):
        raise InputError(
            f"header is {first_line(text.data)[:80]!r} instead of {','.join(HEADER)}",
            where=text.where(1),
            fix="see docs/importing.md",
        )
    names = [n.lower() for n in first_line(text.data).split(",")]
    if len(names) > 6 or len(set(names)) != len(names):
        raise InputError(f"header has {len(names)} columns instead of 5 or 6", where=text.where(1))
    frame = parse_table(text, ",", names, words=("timestamp",), header=True)
    check_prices(text, frame, PRICE_COLUMNS, names[5:])
    stamp, offsets = read_stamps(text, frame, pl.col("timestamp"), "%Y-%m-%d %H:%M:%S")
    volume = [pl.col(c).alias("volume") for c in names[5:]]
    return frame.select(pl.lit(file).alias("file"), stamp, "line", *PRICE_COLUMNS, *volume), offsets


def read(bid: Text, ask: Text, pair: str) -> RawBars:
    """Both sides; a minute quoted on one side only is kept as a row with an issue."""
    left, stated = _side(bid, 0)
    right, stated_ask = _side(ask, 1)
    offsets = sorted(stated | stated_ask)
    return RawBars(pair, "fxcm", MID, (bid, ask), combine(left, right), stated=", ".join(offsets) or None)
