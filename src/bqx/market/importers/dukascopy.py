"""Dukascopy's CSV: header `Gmt time,Open,High,Low,Close,Volume`, and what JForex exports instead.

The header says the clock: `Gmt time`, `Local time` (each row then ends in its offset), `Time (UTC)`, `Time (EET)`, the
last with Europe's summer time. The side stands in the file name; with both sides prices are mids.
"""

from __future__ import annotations

import re

import polars as pl

from bqx.base.errors import InputError
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.fileclock import FileClock
from bqx.market.importers.metatrader import first_line
from bqx.market.importers.padding import mark_padding
from bqx.market.importers.raw import RawBars
from bqx.market.importers.sides import MID, combine
from bqx.market.importers.stamps import guess_form, read_stamps
from bqx.market.importers.table import check_prices, parse_table
from bqx.market.importers.text import Text

_TIME = re.compile(r"gmt time|local time|time ?\(([a-z/_]+)\)")
_ZONES = {"utc": FileClock.utc(), "gmt": FileClock.utc(), "eet": FileClock.zone("Europe/Athens")}


def _header(data: bytes) -> tuple[str, list[str]] | None:
    """Separator and lower-case names when it is Dukascopy's header."""
    line = first_line(data).lower()
    for separator in (",", ";", "\t"):
        names = [n.strip() for n in line.split(separator)]
        if _TIME.fullmatch(names[0]) and tuple(names[1:5]) == PRICE_COLUMNS and names[5:] in ([], ["volume"]):
            return separator, names
    return None


def matches(data: bytes) -> bool:
    return _header(data) is not None


def read(texts: tuple[Text, ...], sides: tuple[str, ...], pair: str) -> RawBars:
    """One side, or both; sides: `bid`, `ask` or an empty string a file. Raises InputError naming file and line."""
    parts = []
    for text, side in zip(texts, sides, strict=True):
        frame, clock, offsets = _read(text)
        parts.append((side, frame["stamp"][0], text, frame, clock, offsets))
    clocks = {part[4].text if part[4] else "" for part in parts}
    if len(clocks) > 1 or len({bool(part[5]) for part in parts}) > 1:
        raise InputError(
            f"files of {pair} are on different clocks: {', '.join(sorted(c or 'not stated' for c in clocks))}",
            where=parts[1][2].where(1),
            fix="import them one after the other",
        )
    parts.sort(key=lambda part: part[:2])
    found: dict[str, list[pl.DataFrame]] = {}
    for number, (side, _, _, frame, _, _) in enumerate(parts):
        found.setdefault(side, []).append(frame.with_columns(file=pl.lit(number)))
    whole = {side: mark_padding(pl.concat(frames)) for side, frames in found.items()}
    both = whole.keys() == {"bid", "ask"}
    if len(whole) > 1 and not both:
        raise InputError(
            f"some files of {pair} name their side, others do not",
            where=parts[0][2].where(1),
            fix="name all of them bid or ask, or none",
        )
    one = next(iter(whole))
    stated = sorted(set().union(*(part[5] for part in parts)))
    return RawBars(
        pair,
        "dukascopy",
        MID if both else one or "vendor",
        tuple(part[2] for part in parts),
        combine(whole["bid"], whole["ask"]) if both else combine(whole[one], None),
        stated=", ".join(stated) or None,
        clock=None if stated else parts[0][4],
    )


def _read(text: Text) -> tuple[pl.DataFrame, FileClock | None, set[str]]:
    """Columns line, stamp, prices, perhaps volume; the clock of the header; offsets of the rows."""
    header = _header(text.data)
    if header is None:
        raise InputError(
            f"header is {first_line(text.data)[:80]!r} instead of Gmt time,Open,High,Low,Close,Volume",
            where=text.where(1),
            fix="see docs/importing.md",
        )
    separator, names = header
    zone = _TIME.fullmatch(names[0])
    names = ["time", *names[1:]]
    frame = parse_table(text, separator, names, words=("time",), header=True)
    check_prices(text, frame, PRICE_COLUMNS, names[5:])
    form = guess_form(frame["time"][0])
    if form is None:
        raise InputError(f"time {frame['time'][0]!r} is in no known form", where=text.where(frame["line"][0]))
    stamp, offsets = read_stamps(text, frame, pl.col("time"), form)
    named = (zone[1] if zone else None) or ("gmt" if zone and zone[0] == "gmt time" else "")
    return frame.select("line", stamp.alias("stamp"), *names[1:]), _ZONES.get(named), offsets
