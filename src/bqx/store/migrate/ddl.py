"""Statements of a plan: every identifier quoted by the driver, every name schema-qualified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bqx.store.migrate.plan import Step

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Tables first, then what hangs on them; by OID, so that two runs take locks in one order."""
    return sorted(steps, key=lambda s: (not s.is_table, s.oid, s.kind, s.column))


def statements(steps: Sequence[Step], tables: Mapping[int, str]) -> Iterator[tuple[Step, Composed]]:
    """Renames in order; those with a name in between come twice, first out of the way and then to the new name.

    tables : OID -> name of every table once the tables are renamed.
    """
    ordered = in_order(steps)
    for half in ([s for s in ordered if s.is_table], [s for s in ordered if not s.is_table]):
        for step in half:
            yield step, _rename(step, step.old, step.via or step.new, tables)
        for step in half:
            if step.via:
                yield step, _rename(step, step.via, step.new, tables)


def run(con: psycopg.Connection[Any], renames: Sequence[tuple[Step, Composed]]) -> None:
    """Send statements as one message: a round trip each would cost more than the renames."""
    from psycopg import sql

    if renames:
        con.execute(sql.SQL(";\n").join([statement for _, statement in renames]))


def _rename(step: Step, old: str, new: str, tables: Mapping[int, str]) -> Composed:
    from psycopg import sql

    me = sql.Identifier(step.schema, old)
    to = sql.Identifier(new)
    if step.is_table:
        kind = sql.SQL("FOREIGN TABLE" if step.kind == "foreign" else "TABLE")
        return sql.SQL("ALTER {} {} RENAME TO {}").format(kind, me, to)
    if step.kind in ("index", "sequence", "statistics"):
        return sql.SQL("ALTER {} {} RENAME TO {}").format(sql.SQL(step.kind.upper()), me, to)
    table = sql.Identifier(step.schema, tables[step.table])
    if step.kind == "constraint":
        return sql.SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}").format(table, sql.Identifier(old), to)
    if step.kind in ("trigger", "policy"):
        kind = sql.SQL(step.kind.upper())
        return sql.SQL("ALTER {} {} ON {} RENAME TO {}").format(kind, sql.Identifier(old), table, to)
    if step.column:
        column = sql.Identifier(step.schema, tables[step.table], step.column)
        return sql.SQL("COMMENT ON COLUMN {} IS {}").format(column, sql.Literal(new))
    return sql.SQL("COMMENT ON TABLE {} IS {}").format(table, sql.Literal(new))


def lock(con: psycopg.Connection[Any], steps: Sequence[Step], mode: str) -> None:
    """Lock the tables of `steps`, by OID; foreign tables are locked by their own rename."""
    from psycopg import sql

    names = [sql.Identifier(s.schema, s.old) for s in in_order(steps) if s.is_table and s.kind != "foreign"]
    if names:
        listed = sql.SQL(", ").join(sql.SQL("ONLY {}").format(name) for name in names)
        con.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(listed, sql.SQL(mode)))


def make_views(con: psycopg.Connection[Any], steps: Sequence[Step]) -> list[tuple[Step, int]]:
    """Views of the old names over the renamed tables, with their grants; (step, OID of the view)."""
    from psycopg import sql

    invoker = sql.SQL(" WITH (security_invoker = true)" if con.info.server_version >= 150000 else "")
    out = []
    for step in in_order(steps):
        if not step.is_table:
            continue
        view = sql.Identifier(step.schema, step.old)
        con.execute(
            sql.SQL("CREATE VIEW {}{} AS SELECT * FROM {}").format(view, invoker, sql.Identifier(step.schema, step.new))
        )
        grants = con.execute(_GRANTS, (step.oid,)).fetchall()
        for privilege, role in grants:
            who = sql.Identifier(role) if role else sql.SQL("PUBLIC")
            con.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(privilege), view, who))
        row = con.execute(
            "SELECT oid::int8 FROM pg_class WHERE relname = %s AND relnamespace = to_regnamespace(quote_ident(%s))",
            (step.old, step.schema),
        ).fetchone()
        assert row is not None
        out.append((step, int(row[0])))
    return out


def drop_view(con: psycopg.Connection[Any], oid: int) -> None:
    """Drop one of our compatibility views, if it is still there."""
    from psycopg import sql

    row = con.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.oid = %s::int8::oid AND c.relkind = 'v'",
        (oid,),
    ).fetchone()
    if row is not None:
        con.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(*row)))


_GRANTS = """
SELECT a.privilege_type, r.rolname FROM pg_class c, aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.oid = %s::int8::oid AND a.grantee <> c.relowner
  AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') ORDER BY 2, 1
"""
