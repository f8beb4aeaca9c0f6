"""Append-only registries of the manifest: sources of bars, baselines, calendars."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bqx.base.errors import StoreError
from bqx.store.known import AsOf, known_text, known_us
from bqx.store.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Baseline:
    """First real mid close of a pair at or after T0 (minutes); registered once per pair and epoch, never changed."""

    pair: str
    epoch: int
    t0: int
    baseline_ts: int
    baseline_mid: float
    source_hash: str


def put_baseline(manifest: Manifest, baseline: Baseline) -> None:
    """Register; the same once more is nothing, another value for the same pair and epoch raises StoreError."""
    b = baseline
    values = (b.pair, b.epoch, b.t0, b.baseline_ts, b.baseline_mid, b.source_hash)
    with manifest.transaction(faults=True) as con:
        known = con.execute(
            "SELECT t0, baseline_ts, baseline_mid FROM baseline WHERE pair = ? AND epoch = ?", values[:2]
        ).fetchone()
        if known == values[2:5]:
            return
        if known is not None:
            raise StoreError(
                f"{b.pair} has baseline {known[2]} at minute {known[1]} in epoch {b.epoch}, not {b.baseline_mid}",
                fix="baselines are append-only: use a new epoch",
            )
        at = manifest.tick(con, "baseline")
        con.execute("INSERT INTO baseline VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, at))


def baselines(manifest: Manifest, as_of: AsOf = None) -> list[Baseline]:
    """All registered, by pair and epoch."""
    known = known_us(as_of)
    sql = (
        "SELECT pair, epoch, t0, baseline_ts, baseline_mid, source_hash FROM baseline "
        "WHERE ?1 IS NULL OR known_at <= ?1 ORDER BY pair, epoch"
    )
    with manifest.connection() as con:
        return [Baseline(*row) for row in con.execute(sql, (known,))]


def has_source(con: sqlite3.Connection, pair: str, record: Mapping[str, Any]) -> int | None:
    """Id of a pair's source record, None when it is not registered."""
    sql = "SELECT id FROM source WHERE pair = ? AND record = ?"
    row = con.execute(sql, (pair, _record_text(record))).fetchone()
    return None if row is None else int(row[0])


def put_source(con: sqlite3.Connection, pair: str, record: Mapping[str, Any], known: int) -> int:
    """Id of a pair's source record, registered at `known` when new."""
    text = _record_text(record)
    found = has_source(con, pair, record)
    if found is not None:
        return found
    sql = "INSERT INTO source (known_at, pair, vendor, price_side, simulated, record) VALUES (?, ?, ?, ?, ?, ?)"
    values = (known, pair, *source_identity(record), text)
    return int(con.execute(sql, values).lastrowid or 0)


def _record_text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, default=str, allow_nan=False)


def source_identity(record: Mapping[str, Any]) -> tuple[str, str, bool]:
    """What makes two sources the same: vendor, price side, whether simulated."""
    return str(record.get("vendor", "")), str(record.get("price_side", "")), bool(record.get("simulated", False))


def sources(manifest: Manifest, as_of: AsOf = None) -> list[dict[str, Any]]:
    """Source records in the order they became known, each with id, pair and known_at (ISO)."""
    known = known_us(as_of)
    sql = "SELECT id, pair, known_at, record FROM source WHERE ?1 IS NULL OR known_at <= ?1 ORDER BY id"
    with manifest.connection() as con:
        rows = con.execute(sql, (known,)).fetchall()
    return [
        {**json.loads(record), "id": key, "pair": pair, "known_at": known_text(at)} for key, pair, at, record in rows
    ]


def put_calendar(manifest: Manifest, digest: str, version: str, content: str) -> None:
    """Keep the text of a holiday file under its digest."""
    with manifest.transaction(faults=True) as con:
        if con.execute("SELECT 1 FROM calendar WHERE digest = ?", (digest,)).fetchone() is None:
            at = manifest.tick(con, "calendar")
            con.execute("INSERT INTO calendar VALUES (?, ?, ?, ?)", (digest, version, content, at))


def calendars(manifest: Manifest) -> list[dict[str, str]]:
    """Holiday files in the order they were first used: digest, version, content, known_at (ISO)."""
    with manifest.connection() as con:
        rows = con.execute("SELECT digest, version, content, known_at FROM calendar ORDER BY known_at").fetchall()
    return [{"digest": d, "version": v, "content": c, "known_at": known_text(at)} for d, v, c, at in rows]
