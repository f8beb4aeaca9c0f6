"""QuantConnect Lean minute quotes: one zip a day, one CSV in it, milliseconds since midnight, bid and ask OHLC.

The file does not state its clock; Lean writes the time zone of the venue's data, which need not be UTC.
"""

from __future__ import annotations

import re
from datetime import datetime

import polars as pl

from bqx.base.errors import InputError
from bqx.market.bars import QUOTE_COLUMNS
from bqx.market.importers.raw import RawBars, as_raw, mids
from bqx.market.importers.sides import MID
from bqx.market.importers.table import check_prices, parse_table
from bqx.market.importers.text import Text

_ENTRY = re.compile(r"(\d{8})_([a-z]+)_minute_quote\.csv", re.IGNORECASE)
_BID, _ASK = QUOTE_COLUMNS[:4], QUOTE_COLUMNS[4:]
_NAMES = ("ms", *_BID, "bid_size", *_ASK, "ask_size")
_DAY_MS = 86_400_000


def entry_of(text: Text) -> tuple[datetime, str]:
    """Date and symbol from the name of the zip's entry."""
    found = _ENTRY.fullmatch(text.entry)
    if not found:
        raise InputError(
            f"zip entry {text.entry!r} is not called <yyyymmdd>_<pair>_minute_quote.csv",
            where=str(text.path),
            fix="bqx reads Lean's minute quote zips only",
        )
    try:
        return datetime.strptime(found[1], "%Y%m%d"), found[2]
    except ValueError as exc:
        raise InputError(f"{found[1]} in the zip entry's name is not a date", where=text.name) from exc


def read(texts: tuple[Text, ...], pair: str) -> RawBars:
    """All days of one pair; sizes are not traded volume, so volume is null. Raises InputError naming file and line."""
    texts = tuple(sorted(texts, key=lambda t: (entry_of(t)[0], t.name)))
    days = [_day(text, number) for number, text in enumerate(texts)]
    return RawBars(pair, "lean", MID, texts, as_raw(pl.concat(days)))


def _day(text: Text, file: int) -> pl.DataFrame:
    day, _ = entry_of(text)
    frame = parse_table(text, ",", _NAMES, words=(), header=False, optional=True)
    check_prices(text, frame, QUOTE_COLUMNS, ("bid_size", "ask_size"))
    wrong = ~pl.col("ms").is_between(0, _DAY_MS - 1) | (pl.col("ms") % 1 != 0) | pl.col("ms").is_null()
    bad = frame.filter(wrong.fill_null(True)).head(1)
    if bad.height:
        raise InputError(
            f"{bad['ms'][0]} is not a number of milliseconds within a day",
            where=text.where(bad["line"][0]),
            fix="correct or remove the line",
        )
    no_bid = pl.any_horizontal(pl.col(c).is_null() for c in _BID)
    no_ask = pl.any_horizontal(pl.col(c).is_null() for c in _ASK)
    return frame.select(
        pl.lit(file, dtype=pl.Int32).alias("file"),
        "line",
        (pl.lit(day).dt.cast_time_unit("us") + pl.col("ms").cast(pl.Int64).mul(1000).cast(pl.Duration("us"))).alias(
            "stamp"
        ),
        pl.when(no_bid).then(pl.lit("no bid side")).when(no_ask).then(pl.lit("no ask side")).alias("issue"),
        *mids(),
        *[pl.col(c) for c in QUOTE_COLUMNS],
    )
