"""MetaTrader history: headerless CSV, the classic `YYYY.MM.DD,HH:MM,...` export, the `<DATE>` tab export.

Also read: semicolons, and `YYYYMMDD HHMMSS` stamps. Fields after the prices: tick volume, volume, spread.
The tick volume becomes `volume`; spread is in points of unknown size and is not used.
"""

from __future__ import annotations

import re

import polars as pl

from bqx.base.errors import InputError
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.importers.raw import RawBars, as_raw
from bqx.market.importers.table import check_prices, parse_stamps, parse_table
from bqx.market.importers.text import Text

_DATES = (
    (re.compile(r"\d{4}-\d\d-\d\d"), "%Y-%m-%d"),
    (re.compile(r"\d{4}\.\d\d\.\d\d"), "%Y.%m.%d"),
    (re.compile(r"\d{8}"), "%Y%m%d"),
)
_TIMES = (
    (re.compile(r"\d\d:\d\d"), "%H:%M"),
    (re.compile(r"\d\d:\d\d:\d\d"), "%H:%M:%S"),
    (re.compile(r"\d{6}"), "%H%M%S"),
)
_HEADER = {
    "<DATE>": "date", "<TIME>": "time", "<OPEN>": "open", "<HIGH>": "high", "<LOW>": "low", "<CLOSE>": "close",
    "<TICKVOL>": "tickvol", "<VOL>": "vol", "<SPREAD>": "spread",
}  # fmt: skip
_TAIL = ("tickvol", "vol", "spread")


def first_line(data: bytes) -> str:
    head = data[:65536].lstrip(b"\n")
    return head.split(b"\n", 1)[0].decode("ascii", "replace")


def _format(field: str, table: tuple[tuple[re.Pattern[str], str], ...]) -> str | None:
    return next((fmt for pattern, fmt in table if pattern.fullmatch(field)), None)


def _layout(line: str) -> tuple[str, list[str], str] | None:
    """Separator, column names and time format of a headerless first line; None when it is not one."""
    for separator in (",", ";", "\t"):
        fields = line.split(separator)
        if len(fields) < 5:
            continue
        day, _, clock = fields[0].partition(" ")
        date_fmt, time_fmt = _format(day, _DATES), _format(clock, _TIMES)
        if date_fmt and time_fmt:
            rest = fields[1:]
            names = ["date"]
        else:
            time_fmt = _format(fields[1], _TIMES)
            if clock or not (date_fmt and time_fmt):
                continue
            rest = fields[2:]
            names = ["date", "time"]
        if 4 <= len(rest) <= 7:
            return separator, [*names, *PRICE_COLUMNS, *_TAIL[: len(rest) - 4]], f"{date_fmt} {time_fmt}"
    return None


def matches(data: bytes) -> bool:
    line = first_line(data)
    return line.startswith("<DATE>") or _layout(line) is not None


def _with_header(text: Text, line: str) -> tuple[str, list[str], str]:
    separator = "\t" if "\t" in line else ("," if "," in line else ";")
    fields = line.split(separator)
    unknown = [f for f in fields if f not in _HEADER]
    missing = [f for f in ("<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>") if f not in fields]
    if unknown or missing:
        raise InputError(
            f"header has unknown columns {unknown}, lacks {missing}", where=text.where(1), fix="see docs/importing.md"
        )
    rows = text.data[:65536].lstrip(b"\n").split(b"\n", 2)
    second = rows[1].decode("ascii").split(separator) if len(rows) > 1 else []
    day, clock = fields.index("<DATE>"), fields.index("<TIME>")
    if len(second) <= max(day, clock):
        raise InputError("file has a header but no bars", where=text.where(1))
    date_fmt, time_fmt = _format(second[day], _DATES), _format(second[clock], _TIMES)
    if not (date_fmt and time_fmt):
        raise InputError(f"time {second[day]} {second[clock]} is in no known form", where=text.where(2))
    return separator, [_HEADER[f] for f in fields], f"{date_fmt} {time_fmt}"


def read(texts: tuple[Text, ...], pair: str) -> RawBars:
    """Files of one pair in the order of their first bars; raises InputError naming file and line."""
    parts = sorted(((_read(text), text) for text in texts), key=lambda p: (p[0]["stamp"][0], p[1].name))
    frames = [frame.with_columns(file=pl.lit(number)) for number, (frame, _) in enumerate(parts)]
    ordered = tuple(text for _, text in parts)
    return RawBars(pair, "metatrader", "vendor", ordered, pl.concat([as_raw(f) for f in frames]))


def _read(text: Text) -> pl.DataFrame:
    line = first_line(text.data)
    header = line.startswith("<DATE>")
    layout = _with_header(text, line) if header else _layout(line)
    if layout is None:
        raise InputError(
            f"first line is not a MetaTrader bar: {line[:80]!r}", where=text.where(1), fix="see docs/importing.md"
        )
    separator, names, fmt = layout
    frame = parse_table(text, separator, names, words=("date", "time"), header=header)
    check_prices(text, frame, PRICE_COLUMNS, [n for n in names if n in _TAIL])
    words = pl.concat_str("date", "time", separator=" ") if "time" in names else pl.col("date")
    stamp = parse_stamps(text, frame, words, fmt)
    volume = pl.col("tickvol") if "tickvol" in names else pl.lit(None)
    return frame.with_columns(stamp=stamp, volume=volume)
