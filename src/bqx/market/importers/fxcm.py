"""FXCM minute bars: one CSV for the bid and one for the ask, header `timestamp,open,high,low,close`, ISO times."""

from __future__ import annotations

import re

import polars as pl

from bqx.base.errors import InputError, UsageError
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.importers.metatrader import first_line
from bqx.market.importers.raw import RawBars, as_raw, mids
from bqx.market.importers.table import check_prices, parse_stamps, parse_table
from bqx.market.importers.text import Text

HEADER = ("timestamp", *PRICE_COLUMNS)
_SIDE = re.compile(r"(?<![a-z])(bid|ask)(?![a-z])", re.IGNORECASE)


def matches(data: bytes) -> bool:
    return tuple(first_line(data).lower().split(",")[:5]) == HEADER


def side_of(name: str) -> tuple[str, str]:
    """(`bid` or `ask`, the name with the side left out) from a file name; raises UsageError when it does not say."""
    found = _SIDE.findall(name)
    if len(found) != 1:
        raise UsageError(
            f"cannot tell from the name {name!r} whether it is the bid or the ask side",
            where=name,
            fix="give the files as --bid FILE --ask FILE",
        )
    return found[0].lower(), _SIDE.sub("*", name)


def _side(text: Text, side: str, file: int) -> tuple[pl.DataFrame, set[str]]:
    """Columns stamp (UTC when stated), nth (occurrence of the stamp), {side}_*, file/line; and the stated offsets."""
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
    word = pl.col("timestamp").str.replace("^(.{10})T", "${1} ")
    stamp = parse_stamps(text, frame, word.str.slice(0, 19), "%Y-%m-%d %H:%M:%S")
    suffixes = frame.select(word.str.slice(19).alias("s"))["s"]
    minutes = {s: _offset(s) for s in suffixes.unique()}
    for suffix, value in minutes.items():
        if value is None:
            line = frame["line"][int((suffixes == suffix).arg_max() or 0)]
            raise InputError(f"time ends in {suffix!r}, not in an offset like +00:00", where=text.where(line))
    shift = suffixes.replace_strict(minutes, return_dtype=pl.Int64)
    a, b = ("file", "line") if side == "bid" else ("file2", "line2")
    out = frame.select(
        (stamp - (shift * 60_000_000).cast(pl.Duration("us"))).alias("stamp"),
        pl.lit(file).alias(a),
        pl.col("line").alias(b),
        *[pl.col(c).alias(f"{side}_{c}") for c in PRICE_COLUMNS],
        *[pl.col(c).alias(f"{side}_volume") for c in names[5:]],
    )
    nth = pl.col("stamp").cum_count().over("stamp").alias("nth")
    return out.with_columns(nth), {s for s in minutes if s}


def _offset(suffix: str) -> int | None:
    """Minutes of `+02:00`; 0 for nothing and for Z; None when it is neither."""
    if suffix in ("", "Z"):
        return 0
    found = re.fullmatch(r"([+-])(\d\d):?(\d\d)", suffix)
    if not found:
        return None
    sign = -1 if found[1] == "-" else 1
    return sign * (int(found[2]) * 60 + int(found[3]))


def read(bid: Text, ask: Text, pair: str) -> RawBars:
    """Both sides; a minute quoted on one side only is kept as a row with an issue."""
    left, stated = _side(bid, "bid", 0)
    right, stated_ask = _side(ask, "ask", 1)
    both = left.join(right, on=["stamp", "nth"], how="full", coalesce=True, maintain_order="left_right")
    missing = (
        pl.when(pl.col("line").is_null())
        .then(pl.lit("no bid side"))
        .when(pl.col("line2").is_null())
        .then(pl.lit("no ask side"))
    )
    volume = pl.lit(None)
    if {"bid_volume", "ask_volume"} <= set(both.columns):
        volume = pl.col("bid_volume") + pl.col("ask_volume")
    frame = both.with_columns(*mids(), issue=missing, volume=volume).sort(
        pl.coalesce("line", "line2"), maintain_order=True
    )
    offsets = sorted(stated | stated_ask)
    return RawBars(
        pair, "fxcm", "mid of bid+ask", (bid, ask), as_raw(frame), stated=", ".join(offsets) if offsets else None
    )
