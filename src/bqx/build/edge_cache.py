"""Weekly opens and closes of each pair, remembered so that a plan need not read a year of bars for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple

from bqx.features.anchors import Edge
from bqx.market.calendar import DAY, Calendar
from bqx.store.manifest import Manifest

_KEY = "build.edges"

Known = dict[str, tuple[str, tuple[Edge, ...]]]
"""Pair -> fingerprint of all that its edges depend on, and the edges."""


def fingerprint(calendar: Calendar, days: Mapping[tuple[str, int], str], pair: str, since: int, last: int) -> str:
    """Hash of the calendar and of the pair's bars of the days from `since` to `last`."""
    digest = hashlib.sha256(f"{since} {last} {calendar.digest(since, last + 1)}".encode())
    for day in range(since // DAY, last // DAY + 1):
        digest.update(days.get((pair, day), "-").encode())
    return digest.hexdigest()[:32]


def recall(manifest: Manifest) -> Known:
    with manifest.connection() as con:
        row = con.execute("SELECT value FROM kv WHERE key = ?", (_KEY,)).fetchone()
    data = json.loads(row[0]) if row else {}
    return {pair: (mark, tuple(Edge(*values) for values in edges)) for pair, (mark, edges) in data.items()}


def remember(manifest: Manifest, known: Known) -> None:
    if recall(manifest) == known:
        return
    data = {pair: [mark, [astuple(edge) for edge in edges]] for pair, (mark, edges) in known.items()}
    with manifest.transaction() as con:
        con.execute("INSERT OR REPLACE INTO kv VALUES (?, ?)", (_KEY, json.dumps(data)))
