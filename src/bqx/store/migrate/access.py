"""V8: the roles that use the tables can: a read and a write are tried in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bqx.store.migrate.checks import Check, tables_of
from bqx.store.migrate.ledger import Entry
from bqx.store.migrate.plan import Plan

if TYPE_CHECKING:
    import psycopg

SHOWN = 5
_COLUMNS = """
SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
WHERE attrelid = %s::int8::oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


def access(con: psycopg.Connection[Any], plan: Plan, entries: Sequence[Entry]) -> Check:
    """Probe each parent, one partition of it, and each table that stands alone, as every declared role."""
    chosen, seen = [], set()
    for e in sorted(tables_of(entries), key=lambda e: e.oid):
        unit = e.before["parent"] if e.before and e.kind == "partition" else e.oid
        if e.kind in ("parent", "table") or (e.kind == "partition" and unit not in seen):
            chosen.append(e)
        if e.kind == "partition":
            seen.add(unit)
    roles = [(r, False) for r in plan.spec.access.readers] + [(r, True) for r in plan.spec.access.writers]
    wrong = [problem for role, writing in roles or [("", True)] for problem in _as_role(con, role, writing, chosen)]
    who = ", ".join(f"{role} ({'read and write' if w else 'read'})" for role, w in roles) or "this session's role"
    probes = len(chosen) * len(roles or [("", True)])
    return Check(
        "V8",
        "access",
        "SELECT 1 FROM t LIMIT 1; INSERT INTO t SELECT * FROM t WHERE false",
        f"{probes:,} probes succeed as {who}",
        f"{probes - len(wrong):,} do",
        not wrong,
        tuple(wrong[:SHOWN]),
    )


def _as_role(con: psycopg.Connection[Any], role: str, writing: bool, chosen: Sequence[Entry]) -> list[str]:
    import psycopg
    from psycopg import sql

    wrong: list[str] = []
    member = not role or con.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = %s AND pg_has_role(oid, 'MEMBER'))", (role,)
    ).fetchone() == (True,)
    for e in chosen:
        try:
            with con.transaction(force_rollback=True):  # one each: together they could fill the lock table
                con.execute("SELECT set_config('row_security', 'on', true)")  # as the role's own sessions have it
                if role and member:
                    con.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
                _probe(con, e, writing) if member else _ask(con, role, e, writing)
        except (psycopg.Error, PermissionError) as error:
            wrong.append(f"{role or 'this role'} on {e.new}: {str(error).splitlines()[0]}")
    return wrong


def _probe(con: psycopg.Connection[Any], e: Entry, writing: bool) -> None:
    from psycopg import sql

    table = sql.Identifier(e.schema, e.new)
    con.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(table))
    if writing:
        row = con.execute(_COLUMNS, (e.oid,)).fetchone()
        columns = sql.SQL(", ").join(sql.Identifier(c) for c in (row[0] if row and row[0] else []))
        con.execute(
            sql.SQL("INSERT INTO {t} ({c}) OVERRIDING SYSTEM VALUE SELECT {c} FROM {t} WHERE false").format(
                t=table, c=columns
            )
        )


def _ask(con: psycopg.Connection[Any], role: str, e: Entry, writing: bool) -> None:
    """Where this session may not become the role, the server is asked what the role may."""
    for privilege in ("SELECT", "INSERT") if writing else ("SELECT",):
        row = con.execute("SELECT has_table_privilege(%s, %s::int8::oid, %s)", (role, e.oid, privilege)).fetchone()
        if row is None or not row[0]:
            raise PermissionError(f"no {privilege}")
