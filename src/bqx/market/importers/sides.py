"""Bid and ask files of one pair: told apart by name, joined minute by minute."""

from __future__ import annotations

import re

import polars as pl

from bqx.base.errors import UsageError
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.importers.raw import as_raw, mids

MID = "mid of bid+ask"
_SIDE = re.compile(r"(?<![a-z])(bid|ask)(?![a-z])", re.IGNORECASE)


def find_side(name: str) -> str:
    """`bid` or `ask` from a file name, an empty string when it does not say."""
    found = {side.lower() for side in _SIDE.findall(name)}
    return found.pop() if len(found) == 1 else ""


def side_of(name: str) -> tuple[str, str]:
    """(`bid` or `ask`, the name with the side left out) from a file name; raises UsageError when it does not say."""
    if len(_SIDE.findall(name)) != 1:
        raise UsageError(
            f"cannot tell from the name {name!r} whether it is the bid or the ask side",
            where=name,
            fix="give the files as --bid FILE --ask FILE",
        )
    return find_side(name), _SIDE.sub("*", name)


def combine(bid: pl.DataFrame | None, ask: pl.DataFrame | None) -> pl.DataFrame:
    """RAW_SCHEMA of one side as it is, or of both with their mids; a minute on one side only keeps an issue.

    bid, ask : file, line, stamp, open..close, and volume and padding when the source has them.
    """
    if bid is None or ask is None:
        return as_raw(_one(bid, ask))
    left, right = _renamed(bid, "bid", "file", "line"), _renamed(ask, "ask", "file2", "line2")
    both = left.join(right, on=["stamp", "nth"], how="full", coalesce=True, maintain_order="left_right")
    missing = (
        pl.when(pl.col("line").is_null())
        .then(pl.lit("no bid side"))
        .when(pl.col("line2").is_null())
        .then(pl.lit("no ask side"))
    )
    volume = padding = pl.lit(None)
    if {"bid_volume", "ask_volume"} <= set(both.columns):
        volume = pl.col("bid_volume") + pl.col("ask_volume")
    if {"bid_padding", "ask_padding"} <= set(both.columns):
        padding = pl.col("bid_padding").fill_null(True) & pl.col("ask_padding").fill_null(True)
    frame = both.with_columns(*mids(), issue=missing, volume=volume, padding=padding)
    return as_raw(frame.sort("stamp", maintain_order=True))


def _one(bid: pl.DataFrame | None, ask: pl.DataFrame | None) -> pl.DataFrame:
    frame = bid if ask is None else ask
    if frame is None:
        raise UsageError("neither a bid nor an ask side", fix="give files of at least one side")
    return frame


def _renamed(frame: pl.DataFrame, side: str, file: str, line: str) -> pl.DataFrame:
    """Columns stamp, nth (occurrence of the stamp), {side}_*, and where the row stands."""
    names = [c for c in (*PRICE_COLUMNS, "volume", "padding") if c in frame.columns]
    nth = pl.col("stamp").cum_count().over("stamp").alias("nth")
    return frame.select(
        "stamp",
        nth,
        pl.col("file").alias(file),
        pl.col("line").alias(line),
        *[pl.col(c).alias(f"{side}_{c}") for c in names],
    )
