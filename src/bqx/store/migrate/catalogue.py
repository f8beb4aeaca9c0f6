"""Reads an inventory from PostgreSQL's catalogue: by OID, in one schema, whatever the names look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bqx.store.migrate.inventory import Inventory, Part, Relation, Taken

if TYPE_CHECKING:
    import psycopg

RELATIONS = """
SELECT c.oid::int8, c.relname, c.relkind::text, o.rolname, coalesce(i.inhparent, 0)::int8,
       coalesce(pg_get_expr(c.relpartbound, c.oid), ''), c.relpersistence::text, c.relfilenode::int8,
       c.reltablespace::int8, coalesce(c.relacl::text, ''), c.relnatts::int,
       (SELECT md5(coalesce(string_agg(concat_ws(' ', a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
               a.attnotnull, a.attidentity, a.attgenerated), E'\\n' ORDER BY a.attnum), ''))
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) ELSE 0 END,
       coalesce(pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
                + pg_stat_get_tuples_deleted(c.oid), 0),
       pg_has_role(c.relowner, 'USAGE')
FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
WHERE c.relkind IN ('r', 'p', 'f') AND {where} ORDER BY c.oid
"""
_WAITS = ("coalesce(pg_get_expr(c.relpartbound, c.oid), '')", "pg_relation_size(c.oid)")
"""Functions that open the relation, and so wait for whoever renames it."""
OF_SCHEMA = RELATIONS.replace("{where}", "c.relnamespace = to_regnamespace(quote_ident(%(schema)s))")
NAMES = """
SELECT c.relname, c.oid::int8, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s
UNION ALL
SELECT t.typname, t.oid::int8, 't' FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = %(schema)s AND t.typrelid = 0 AND t.typelem = 0
"""
PARTS = """
WITH mine AS (SELECT unnest(%(oids)s::int8[])::oid AS oid)
SELECT x.indexrelid::int8, 'index', c.relname, x.indrelid::int8, '', '', false
  FROM pg_index x JOIN mine m ON m.oid = x.indrelid JOIN pg_class c ON c.oid = x.indexrelid
UNION ALL
SELECT k.oid::int8, 'constraint', k.conname, k.conrelid::int8, '', '', k.contype IN ('c', 'n') AND k.coninhcount > 0
  FROM pg_constraint k JOIN mine m ON m.oid = k.conrelid WHERE k.contype IN ('c', 'f', 'n')
UNION ALL
SELECT s.oid::int8, 'sequence', s.relname, d.refobjid::int8, n.nspname, '', false
  FROM pg_depend d JOIN mine m ON m.oid = d.refobjid JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_namespace n ON n.oid = s.relnamespace
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
UNION ALL
SELECT t.oid::int8, 'trigger', t.tgname, t.tgrelid::int8, '', '',
       t.tgparentid <> 0 AND current_setting('server_version_num')::int >= 150000
  FROM pg_trigger t JOIN mine m ON m.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
SELECT p.oid::int8, 'policy', p.polname, p.polrelid::int8, '', '', false
  FROM pg_policy p JOIN mine m ON m.oid = p.polrelid
UNION ALL
SELECT s.oid::int8, 'statistics', s.stxname, s.stxrelid::int8, n.nspname, '', false
  FROM pg_statistic_ext s JOIN mine m ON m.oid = s.stxrelid JOIN pg_namespace n ON n.oid = s.stxnamespace
UNION ALL
SELECT d.objoid::int8, 'comment', d.description, d.objoid::int8, '', coalesce(a.attname, ''), false
  FROM pg_description d JOIN mine m ON m.oid = d.objoid
  LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
 WHERE d.classoid = 'pg_class'::regclass
ORDER BY 4, 2, 1, 6
"""


def read_inventory(con: psycopg.Connection[Any], schema: str, *, names_only: bool = False) -> Inventory:
    """Tables of `schema`, what hangs on them, and every name there; `names_only` never waits for a lock."""
    sql = OF_SCHEMA
    if names_only:
        sql = sql.replace(_WAITS[0], "''").replace(_WAITS[1], "0")
    relations = tuple(Relation(*row) for row in con.execute(sql.encode(), {"schema": schema}))
    names: dict[str, Taken] = {}
    for name, oid, kind in con.execute(NAMES, {"schema": schema}):
        if name not in names or kind != "t":
            names[name] = Taken(oid, kind)
    return Inventory(schema, relations, read_parts(con, [r.oid for r in relations]), names)


def read_relations(con: psycopg.Connection[Any], oids: Sequence[int]) -> dict[int, Relation]:
    """Tables of these OIDs that there are, wherever they are."""
    sql = RELATIONS.replace("{where}", "c.oid = ANY(%(oids)s::int8[]::oid[])")
    return {row[0]: Relation(*row) for row in con.execute(sql.encode(), {"oids": list(oids)})}


def read_parts(con: psycopg.Connection[Any], tables: Sequence[int]) -> tuple[Part, ...]:
    """What hangs on these tables."""
    return tuple(Part(*row) for row in con.execute(PARTS, {"oids": list(tables)}))
