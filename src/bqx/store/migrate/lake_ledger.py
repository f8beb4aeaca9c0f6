"""The lake's ledger: lines of the manifest, written in the transaction that renames."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bqx.base.errors import MigrationSpecError
from bqx.base.runlog import current_run
from bqx.base.version import __version__
from bqx.store.known import now_us
from bqx.store.manifest import Manifest
from bqx.store.migrate.ledger import Entry, Event
from bqx.store.migrate.plan import Plan

ACTOR = "this project"


def add(con: sqlite3.Connection, plan: Plan, kind: str, detail: Mapping[str, Any]) -> None:
    """One line, inside the caller's transaction."""
    con.execute(
        "INSERT INTO migration (migration, plan_hash, kind, at, run_id, tool, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            plan.migration,
            plan.digest,
            kind,
            now_us(),
            current_run().run_id,
            f"bqx {__version__}",
            json.dumps(detail, allow_nan=False),
        ),
    )


def events(manifest: Manifest, migration: str) -> list[Event]:
    """History, oldest first."""
    sql = "SELECT id, plan_hash, kind, at, run_id, tool, detail FROM migration WHERE migration = ? ORDER BY id"
    with manifest.connection() as con:
        rows = con.execute(sql, (migration,)).fetchall()
    return [
        Event(n, migration, plan, kind, datetime.fromtimestamp(at / 1e6, UTC), ACTOR, run, tool, json.loads(detail))
        for n, plan, kind, at, run, tool, detail in rows
    ]


def migrations(manifest: Manifest) -> list[str]:
    with manifest.connection() as con:
        return [str(row[0]) for row in con.execute("SELECT DISTINCT migration FROM migration ORDER BY 1")]


def entries(found: list[Event]) -> dict[int, Entry]:
    """Dataset id -> the last thing said of it."""
    out: dict[int, Entry] = {}
    for event in found:
        for line in event.detail.get("entries", ()):
            out[line["oid"]] = Entry(**line)
    return out


def plan_of(manifest: Manifest, migration: str) -> Plan:
    """The plan that was applied last; MigrationSpecError when there is none."""
    for event in reversed(events(manifest, migration)):
        if event.kind == "started":
            return Plan.parse(event.detail["plan"], "ledger")
    raise MigrationSpecError(
        f"the project knows no migration {migration!r}", fix="give a plan file, or see `bqx migrate status --lake`"
    )


def lines(found: list[Entry]) -> list[dict[str, Any]]:
    return [asdict(e) for e in found]


def digest(found: list[Event]) -> str:
    """sha256 over what was renamed and when."""
    out = hashlib.sha256()
    for event in found:
        if event.kind in ("batch", "rollback-batch"):
            text = json.dumps([event.id, event.plan_hash, event.kind, event.detail["entries"]], sort_keys=True)
            out.update(text.encode() + b"\n")
    return out.hexdigest()
