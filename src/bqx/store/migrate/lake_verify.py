"""Verification of a migrated lake: names, files, rows and readers, by the manifest."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bqx.base.errors import MigrationSpecError
from bqx.store.lake import Lake
from bqx.store.listing import dataset_names, list_partitions
from bqx.store.manifest import Manifest
from bqx.store.migrate import checks, lake_ledger
from bqx.store.migrate.checks import Check
from bqx.store.migrate.inventory import Inventory, Taken
from bqx.store.migrate.ledger import Entry
from bqx.store.migrate.plan import Plan
from bqx.store.migrate.verify import Verified
from bqx.store.rename import NAMED_IN

SCHEMA = "lake"


def verify(lake: Lake, reviewed: Plan, again: Plan, *, record: bool = True) -> Verified:
    """V1-V9 as far as a lake has them. again : the plan made anew."""
    clock = time.perf_counter()
    manifest = lake.manifest
    known = entries_of(manifest, reviewed.migration)
    state = "applied" if any(e.state == "applied" for e in known) else "rolled_back"
    mine = [e for e in known if e.state == state]
    if not mine:
        raise MigrationSpecError(f"nothing of {reviewed.migration} was applied", fix="apply it")
    direction = replace(reviewed, direction="apply" if state == "applied" else "rollback")
    held = contents(manifest)
    with manifest.connection() as con:
        left_over = residue(con, direction, mine)
    pending = [s.old for s in again.pending] if state == "applied" else []
    parts = [
        f"{e.new}: {(e.before or {})['partitions']} partitions before, {held.get(e.new, (0,))[0]} now"
        for e in mine
        if (e.before or {})["partitions"] != held.get(e.new, (0,))[0]
    ]
    total = sum(held.get(e.new, (0,))[0] for e in mine)
    found = {e.oid: held.get(e.new, (0, 0, ""))[1] for e in mine}
    files = "files keep the folder they were written to; only the manifest gives them names"
    verdicts = (
        identity(manifest, mine),
        checks.numbers(direction, again),
        left_over,
        checks.make("V4", "partitions", "the manifest", f"{total + len(parts)} partitions", f"{total}", parts),
        checks.rows(mine, found, "the manifest", None, reviewed.spec.expect.rows),
        Check("V6", "names", "", "not asked", files, None),
        _followers(manifest, mine),
        _readable(lake, mine),
        checks.make("V9", "idempotence", "the plan, made again", "0 steps", f"{len(pending)} steps", pending),
    )
    rows: dict[str, int] = defaultdict(int)
    for e in mine:
        rows[e.group] += found[e.oid]
    out = Verified(reviewed.migration, state, verdicts, dict(rows), "exact", time.perf_counter() - clock)
    if record:
        with manifest.transaction() as con:
            kind = "verified" if state == "applied" else "rollback-verified"
            lake_ledger.add(con, reviewed, kind, out.as_dict())
    return out


def names_of(con: sqlite3.Connection) -> dict[int, str]:
    """Dataset id -> name."""
    return {int(i): str(n) for i, n in con.execute("SELECT id, name FROM dataset ORDER BY id")}


def entries_of(manifest: Manifest, migration: str) -> list[Entry]:
    """The last the ledger says of each dataset."""
    return list(lake_ledger.entries(lake_ledger.events(manifest, migration)).values())


def contents(manifest: Manifest) -> dict[str, tuple[int, int, str]]:
    """Dataset -> current partitions, rows, and a hash over what they hold whatever they are called."""
    out: dict[str, tuple[int, int, Any]] = {}
    for info in list_partitions(manifest):
        count, rows, digest = out.get(info.key.dataset, (0, 0, hashlib.sha256()))
        line = f"{info.key.pair} {info.key.ym} {info.generation} {info.content_hash} {info.complete_through}"
        digest.update(f"{line} {' '.join(p.file_hash for p in info.pieces)}\n".encode())
        out[info.key.dataset] = (count + 1, rows + info.rows, digest)
    return {name: (count, rows, digest.hexdigest()) for name, (count, rows, digest) in out.items()}


def identity(manifest: Manifest, entries: Sequence[Entry]) -> Check:
    """V1: the same dataset, partitions, generations and file hashes under the new name."""
    held = contents(manifest)
    with manifest.connection() as con:
        names = names_of(con)
    wrong = [f"dataset {e.oid} is called {names.get(e.oid)}, not {e.new}" for e in entries if names.get(e.oid) != e.new]
    wrong += [
        f"{e.new} holds other files than before"
        for e in entries
        if (e.before or {}).get("content", "") != held.get(e.new, (0, 0, ""))[2]
    ]
    good = len(entries) - len(wrong)
    return checks.make(
        "V1", "identity", "the manifest", f"{len(entries)} datasets with the same files", f"{good}", wrong
    )


def residue(con: sqlite3.Connection, reviewed: Plan, entries: Sequence[Entry]) -> Check:
    """V3, by the rule for tables."""
    names = {name: Taken(0, "r") for name in dataset_names(con)}
    mine = {e.new for e in entries}
    found = Inventory(SCHEMA, (), (), {n: t for n, t in names.items() if n not in mine})
    return checks.residue(reviewed, entries, found, {})


def _followers(manifest: Manifest, entries: Sequence[Entry]) -> Check:
    """V7: nothing in the manifest speaks of an old name."""
    old = {e.old for e in entries} - {e.new for e in entries}
    wrong = []
    with manifest.connection() as con:
        for table in NAMED_IN:
            sql = f"SELECT DISTINCT dataset FROM {table}"  # noqa: S608 - names are the literals above
            found = {str(r[0]) for r in con.execute(sql)}
            wrong += [f"{table} speaks of {name}" for name in sorted(found & old)]
    query = f"datasets named in {', '.join(NAMED_IN)}"
    return checks.make("V7", "dependants", query, "0 old names", f"{len(wrong)}", wrong)


def _readable(lake: Lake, entries: Sequence[Entry]) -> Check:
    """V8: every dataset that has rows gives one."""
    full = [e for e in entries if (e.before or {})["rows"]]
    wrong = [e.new for e in full if lake.read(e.new).head(1).collect().height != 1]
    return checks.make("V8", "access", "read one row", f"{len(full)} give one", f"{len(full) - len(wrong)} do", wrong)
