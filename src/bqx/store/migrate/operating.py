"""One operator a migration: a session lock that the server gives up by itself when the session ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bqx.base.errors import MigrationLocked

if TYPE_CHECKING:
    import psycopg

_HOLDER = """
SELECT l.pid, a.usename, a.application_name, extract(epoch FROM now() - a.backend_start)::float8
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::int8 << 32) | l.objid::int8 = %s
"""


def key(schema: str, migration: str) -> int:
    """The advisory lock's number."""
    digest = hashlib.sha256(f"bqx migrate {schema} {migration}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def at_work(con: psycopg.Connection[Any], schema: str, migration: str) -> str | None:
    """Who migrates now, in words; None when nobody does."""
    row = con.execute(_HOLDER, (key(schema, migration),)).fetchone()
    return None if row is None else f"pid {row[0]} ({row[1]}, {row[2]}, connected {row[3]:.0f} s)"


@contextmanager
def operating(con: psycopg.Connection[Any], schema: str, migration: str) -> Iterator[None]:
    """Hold the migration; MigrationLocked names who has it."""
    row = con.execute("SELECT pg_try_advisory_lock(%s)", (key(schema, migration),)).fetchone()
    if row is None or not row[0]:
        holder = at_work(con, schema, migration) or "a session that just ended"
        raise MigrationLocked(
            f"another operator is at {migration}: {holder}", where=f"schema {schema}", fix="wait for it, then look"
        )
    try:
        yield
    finally:
        if not con.closed and not con.broken:
            con.execute("SELECT pg_advisory_unlock(%s)", (key(schema, migration),))
