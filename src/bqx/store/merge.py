"""Two sources of one pair: which bar a minute keeps. See docs/decisions/023-merge.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from bqx.market.bars import BARS_SCHEMA

Overlap = Literal["refuse", "newest", "keep", "replace"]
OVERLAPS: tuple[Overlap, ...] = ("refuse", "newest", "keep", "replace")
_VALUES = [name for name in BARS_SCHEMA if name != "ts_utc"]


@dataclass(frozen=True, slots=True)
class Merged:
    """table: the month after the import, sorted. The counts are minutes: new; there with the same values; with others
    that gave way (corrected) or stayed (kept); removed because the new source has none. old: rows left of before.
    """

    table: pl.DataFrame
    new: int
    unchanged: int
    corrected: int
    kept: int
    removed: int
    old: int

    @property
    def changed(self) -> bool:
        return bool(self.new or self.corrected or self.removed)


def merge(old: pl.DataFrame | None, part: pl.DataFrame, overlap: Overlap, span: tuple[int, int]) -> Merged:
    """old: the month's bars; part: new bars of that month; span: first and last minute of the whole new source."""
    if old is None:
        return Merged(part, part.height, 0, 0, 0, 0, 0)
    both = part.join(old, on="ts_utc", how="inner", suffix="_old", maintain_order="left")
    same = int(both.select(pl.all_horizontal([pl.col(v).eq_missing(pl.col(f"{v}_old")) for v in _VALUES]).sum()).item())
    new, other = part.height - both.height, both.height - same
    if overlap == "keep":
        added = part.join(old, on="ts_utc", how="anti")
        return Merged(pl.concat([old, added]).sort("ts_utc"), new, same, 0, other, 0, old.height)
    rest = old.join(part, on="ts_utc", how="anti")
    stay = rest
    if overlap == "replace":
        minute = pl.col("ts_utc").dt.epoch("us") // 60_000_000
        stay = rest.filter(~minute.is_between(*span))
    table = pl.concat([stay, part]).sort("ts_utc")
    return Merged(table, new, same, other, 0, rest.height - stay.height, stay.height)
