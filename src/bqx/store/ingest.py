"""Merge new bars into a pair's months: unchanged minutes cost nothing, corrected ones make a new version."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from bqx.base.errors import StoreError
from bqx.market.bars import PRICE_COLUMNS, as_bars
from bqx.market.calendar import DAY, month_of, month_span
from bqx.market.pairs import parse_pair
from bqx.store.commit import check_files, file_id
from bqx.store.content import content_hash, content_hashes
from bqx.store.files import Codec, Files, Written, write_table
from bqx.store.known import AsOf, known_us
from bqx.store.manifest import Manifest
from bqx.store.merge import Overlap, merge
from bqx.store.registry import has_source, put_source, source_identity
from bqx.store.stage import I8, check_finite, minutes_of, schema_of


@dataclass(frozen=True, slots=True)
class IngestResult:
    """Minutes that were new, already there with the same values, and there with other values; months written.

    kept, removed: minutes in which the stored bar stayed although the new one differs, and that the new source does
    not have (see `bqx.store.merge`).
    """

    new: int
    unchanged: int
    corrected: int
    months: tuple[str, ...]
    kept: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class _Month:
    """A month's current version and what it becomes. alone: nothing is left of the sources before."""

    ym: str
    current: int | None
    table: pl.DataFrame
    days: tuple[tuple[int, int, str], ...]
    alone: bool


def ingest(
    files: Files,
    manifest: Manifest,
    codec: Codec,
    pair: str,
    frame: pl.DataFrame,
    source: Mapping[str, Any],
    *,
    known_at: AsOf = None,
    policy: Overlap = "refuse",
) -> IngestResult:
    """Add bars; minutes absent from `frame` stay. Doing it again changes nothing.

    policy : which bar a minute keeps when both have it; "replace" also removes minutes inside the new span that the
    new source does not have, in months where it has any.
    Raises StoreError when the price side or simulated flag is not that of the pair's bars, and, with policy
    "refuse", when another vendor's minutes would change.
    """
    pair = parse_pair(pair).name
    where = f"bars of {pair}"
    bars = as_bars(frame)
    minutes = minutes_of(bars, where)
    check_finite(bars, where)
    if bars.select(pl.any_horizontal(pl.col(PRICE_COLUMNS).is_null()).any()).item():
        raise StoreError("a bar without prices cannot be stored", where=where)
    identity = source_identity(source)
    with manifest.connection() as con:
        _check_identity(con, pair, identity)
    months: list[_Month] = []
    total = dict.fromkeys(("new", "unchanged", "corrected", "kept", "removed"), 0)
    span = (int(minutes[0]), int(minutes[-1])) if len(minutes) else (0, 0)
    for ym, part in _by_month(bars, minutes):
        current, old = _current(files, manifest, pair, ym)
        done = merge(old, part, policy, span)
        if done.corrected and policy == "refuse":
            _refuse_other_vendor(manifest, current, pair, ym, identity, done.corrected)
        for name in total:
            total[name] += getattr(done, name)
        if done.changed:
            alone = policy == "replace" and not done.old
            months.append(_Month(ym, current, done.table, _day_hashes(done.table), alone))
    written = {m.ym: write_table(files, f"bars/{pair}", m.ym, m.table, codec) for m in months}
    _commit(files, manifest, pair, source, months, written, known_us(known_at))
    return IngestResult(months=tuple(m.ym for m in months), **total)


def _by_month(bars: pl.DataFrame, minutes: I8) -> Iterator[tuple[str, pl.DataFrame]]:
    """Sorted bars cut at the ends of UTC months."""
    at = 0
    while at < len(minutes):
        ym = month_of(int(minutes[at]))
        stop = int(np.searchsorted(minutes, month_span(ym)[1]))
        yield ym, bars.slice(at, stop - at)
        at = stop


def _check_identity(con: sqlite3.Connection, pair: str, identity: tuple[str, str, bool]) -> None:
    """Raise StoreError when the pair's current bars have another price side or come from another world."""
    for side, simulated in con.execute(
        "SELECT DISTINCT s.price_side, s.simulated FROM source s JOIN bar_month_source b ON b.source_id = s.id "
        "JOIN bar_month m ON m.id = b.bar_month_id WHERE m.pair = ? AND m.known_to IS NULL",
        (pair,),
    ):
        if (side, bool(simulated)) != identity[1:]:
            raise StoreError(
                f"{pair} holds {'simulated' if simulated else 'real'} bars of price side {side!r}; "
                f"these are {'simulated' if identity[2] else 'real'}, {identity[1]!r}",
                fix="price sides are never mixed inside a pair: use another project",
            )


def _current(files: Files, manifest: Manifest, pair: str, ym: str) -> tuple[int | None, pl.DataFrame | None]:
    """Id and bars of the month's current version."""
    with manifest.connection() as con:
        row = con.execute(
            "SELECT m.id, f.path, f.bytes, f.file_hash FROM bar_month m JOIN file f ON f.id = m.file_id "
            "WHERE m.pair = ? AND m.ym = ? AND m.known_to IS NULL",
            (pair, ym),
        ).fetchone()
    if row is None:
        return None, None
    (path,) = files.fetch([Written(*row[1:])])
    return int(row[0]), pl.read_parquet(path, glob=False, memory_map=False)


def _refuse_other_vendor(
    manifest: Manifest, current: int | None, pair: str, ym: str, identity: tuple[str, str, bool], count: int
) -> None:
    with manifest.connection() as con:
        vendors = {
            str(row[0])
            for row in con.execute(
                "SELECT s.vendor FROM source s JOIN bar_month_source b ON b.source_id = s.id WHERE b.bar_month_id = ?",
                (current,),
            )
        }
    if vendors - {identity[0]}:
        raise StoreError(
            f"{count} minutes differ from bars of {', '.join(sorted(vendors))}; "
            f"these are from {identity[0] or 'nobody'}",
            where=f"bars of {pair} in {ym}",
            fix="say which source wins: policy newest, keep or replace; the old version stays readable by as_of",
        )


def _day_hashes(table: pl.DataFrame) -> tuple[tuple[int, int, str], ...]:
    """(UTC day, rows, content hash) of each day; the rows are sorted, so a day is a run of rows."""
    day = table["ts_utc"].cast(pl.Int64).to_numpy() // (DAY * 60_000_000)
    starts = np.flatnonzero(np.r_[True, np.diff(day) != 0])
    spans = [(int(a), int(b)) for a, b in pairwise([*starts, len(day)])]
    hashes = content_hashes(table, spans)
    return tuple((int(day[a]), b - a, digest) for (a, b), digest in zip(spans, hashes, strict=True))


def _commit(
    files: Files,
    manifest: Manifest,
    pair: str,
    source: Mapping[str, Any],
    months: list[_Month],
    written: Mapping[str, Written],
    known_at: int | None,
) -> None:
    """One transaction for all months; a source that brought nothing new is registered all the same."""
    where = f"bars of {pair}"
    with manifest.transaction(faults=True) as con:
        check_files(files, [(where, each.path, each.bytes) for each in written.values()])
        if not months and has_source(con, pair, source):
            return
        _check_identity(con, pair, source_identity(source))
        known = manifest.tick(con, "bars", known_at)
        key = put_source(con, pair, source, known)
        for month in months:
            _put_month(con, pair, month, written[month.ym], source_identity(source)[2], key, known)


def _put_month(
    con: sqlite3.Connection, pair: str, month: _Month, written: Written, simulated: bool, source: int, known: int
) -> None:
    where = f"bars of {pair} in {month.ym}"
    row = con.execute(
        "SELECT id FROM bar_month WHERE pair = ? AND ym = ? AND known_to IS NULL", (pair, month.ym)
    ).fetchone()
    if (row[0] if row else None) != month.current:
        raise StoreError("another import changed this month meanwhile", where=where, fix="run the import again")
    con.execute("UPDATE bar_month SET known_to = ? WHERE id = ?", (known, month.current))
    minutes = minutes_of(month.table, where)
    columns = json.dumps(schema_of(month.table))
    file = file_id(con, written.path, written.bytes, written.file_hash, columns)
    key = con.execute(
        "INSERT INTO bar_month (pair, ym, known_from, file_id, rows, first_minute, last_minute, content_hash,"
        " simulated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            pair, month.ym, known, file, len(minutes), int(minutes[0]), int(minutes[-1]),
            content_hash(month.table), int(simulated),
        ),
    ).lastrowid  # fmt: skip
    con.executemany("INSERT INTO bar_day VALUES (?, ?, ?, ?)", [(key, *day) for day in month.days])
    if not month.alone:
        con.execute(
            "INSERT INTO bar_month_source SELECT ?, source_id FROM bar_month_source WHERE bar_month_id = ?",
            (key, month.current),
        )
    con.execute("INSERT INTO bar_month_source VALUES (?, ?) ON CONFLICT DO NOTHING", (key, source))
