"""Who is in the way: sessions with locks on planned tables, prepared transactions, vacuums, index builds, writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bqx.base.redaction import redact

if TYPE_CHECKING:
    import psycopg

_HOLDERS = """
SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.state, 'prepared'),
       coalesce(extract(epoch FROM now() - a.xact_start), 0)::float8,
       left(coalesce(a.query, ''), 200), min(c.relname), count(DISTINCT l.relation),
       bool_or(l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.relation = ANY(%(oids)s::int8[]::oid[])
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid IS DISTINCT FROM pg_backend_pid()
GROUP BY l.pid, a.application_name, a.state, a.xact_start, a.query ORDER BY 4 DESC, 1
"""
_PREPARED = """
SELECT p.gid, count(*) FROM pg_prepared_xacts p
JOIN pg_locks t ON t.locktype = 'transactionid' AND t.transactionid = p.transaction AND t.pid IS NULL
JOIN pg_locks l ON l.virtualtransaction = t.virtualtransaction AND l.pid IS NULL
   AND l.relation = ANY(%(oids)s::int8[]::oid[])
WHERE p.database = current_database() GROUP BY p.gid ORDER BY p.gid
"""
_VACUUM = """
SELECT v.pid, c.relname, a.backend_type <> 'autovacuum worker' OR a.query LIKE '%%to prevent wraparound%%'
FROM pg_stat_progress_vacuum v JOIN pg_class c ON c.oid = v.relid JOIN pg_stat_activity a ON a.pid = v.pid
WHERE v.relid = ANY(%(oids)s::int8[]::oid[])
"""
_INDEXING = """
SELECT p.pid, c.relname, p.command FROM pg_stat_progress_create_index p JOIN pg_class c ON c.oid = p.relid
WHERE p.relid = ANY(%(oids)s::int8[]::oid[])
"""
_WRITES = """
SELECT oid::int8, coalesce(pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid)
                           + pg_stat_get_tuples_deleted(oid), 0)
FROM unnest(%(oids)s::int8[]::oid[]) AS t(oid)
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """A session with locks on planned tables. age : seconds of its transaction. writing : it may change rows."""

    pid: int
    application: str
    state: str
    age: float
    query: str
    table: str
    tables: int
    writing: bool

    def __str__(self) -> str:
        more = f" and {self.tables - 1} more" if self.tables > 1 else ""
        return f"pid {self.pid} ({self.application or 'unnamed'}, {self.state}, {self.age:.0f} s) on {self.table}{more}"


def holders(con: psycopg.Connection[Any], oids: Sequence[int]) -> list[Holder]:
    """Sessions, oldest first; their last query is redacted."""
    rows = con.execute(_HOLDERS, {"oids": list(oids)}).fetchall()
    return [replace(Holder(*row), query=redact(row[4])) for row in rows]


def prepared(con: psycopg.Connection[Any], oids: Sequence[int]) -> list[str]:
    """Names of prepared transactions with locks on the tables."""
    return [row[0] for row in con.execute(_PREPARED, {"oids": list(oids)})]


def vacuums(con: psycopg.Connection[Any], oids: Sequence[int]) -> list[tuple[int, str, bool]]:
    """(pid, table, whether it will not give way) of vacuums at work."""
    return [(row[0], row[1], row[2]) for row in con.execute(_VACUUM, {"oids": list(oids)})]


def indexing(con: psycopg.Connection[Any], oids: Sequence[int]) -> list[tuple[int, str, str]]:
    """(pid, table, command) of index builds at work."""
    return [(row[0], row[1], row[2]) for row in con.execute(_INDEXING, {"oids": list(oids)})]


def writes(con: psycopg.Connection[Any], oids: Sequence[int]) -> dict[int, int]:
    """Rows ever inserted, updated and deleted, by the server's counters."""
    return {row[0]: row[1] for row in con.execute(_WRITES, {"oids": list(oids)})}
