"""MetaTrader history: headerless CSV, the classic `YYYY.MM.DD,HH:MM,...` export, the `<DATE>` tab export.

Also read: semicolons, and `YYYYMMDD HHMMSS` stamps. Fields after the prices: tick volume, volume, spread.
The tick volume becomes `volume`. Prices are the vendor's, usually bid. The spread is one number a bar, in points, of a
moment that the format does not define: it is told in the report and not used, unless asked for (`spread="ask"`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from bqx.base.errors import InputError
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.findings import Finding
from bqx.market.importers.raw import RawBars, as_raw, mids
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


def read(texts: tuple[Text, ...], pair: str, *, spread: str = "ignore") -> RawBars:
    """Files of one pair in the order of their first bars; raises InputError naming file and line.

    spread : `ask` takes prices as bid and bid + spread as ask, in all four fields; prices are then mids.
    """
    parts = sorted(((_read(text), text) for text in texts), key=lambda p: (p[0]["stamp"][0], p[1].name))
    ordered = tuple(text for _, text in parts)
    frames = [frame.with_columns(file=pl.lit(number)) for number, (frame, _) in enumerate(parts)]
    if spread == "ask":
        frames = [_quoted(frame, text) for frame, text in zip(frames, ordered, strict=True)]
    side = "mid of bid+spread" if spread == "ask" else "vendor"
    told = () if spread == "ask" else tell_spread(frames)
    return RawBars(pair, "metatrader", side, ordered, pl.concat([as_raw(f) for f in frames]), findings=told)


def tell_spread(frames: Sequence[pl.DataFrame]) -> tuple[Finding, ...]:
    """What the unused spreads are like."""
    points = pl.concat([f["spread"] for f in frames if "spread" in f.columns] or [pl.Series([0.0])])
    points = points.filter(points > 0)
    if points.is_empty():
        return ()
    low, middle, high = (points.quantile(q, "nearest") for q in (0.0, 0.5, 1.0))
    note = f"{low:g} to {high:g} points, median {middle:g}; --spread ask makes quotes of them"
    return (Finding("spread not used", len(points), "noted", note),)


def _quoted(frame: pl.DataFrame, text: Text) -> pl.DataFrame:
    """bid = price, ask = price + spread; a point is the last decimal of the file's prices."""
    if "spread" not in frame.columns:
        raise InputError("there is no spread column", where=text.where(1), fix="leave --spread out")
    decimals = max((len(found) for found in re.findall(rb"\d\.(\d+)", text.data[:65536])), default=0)
    ask = [(pl.col(c) + pl.col("spread") / 10**decimals).alias(f"ask_{c}") for c in PRICE_COLUMNS]
    bid = [pl.col(c).alias(f"bid_{c}") for c in PRICE_COLUMNS]
    return frame.with_columns(*bid, *ask).with_columns(mids())


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
