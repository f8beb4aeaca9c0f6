"""Relations that bqx did not make: what each is, and why it can or cannot become a partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bqx.store.contract import Schema
from bqx.store.partition import PartitionKey
from bqx.store.pg.columns import kind_of
from bqx.store.pg.quoting import name

if TYPE_CHECKING:
    import psycopg

Kind = Literal["TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "FOREIGN TABLE"]

_KINDS: dict[str, Kind] = {
    "r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE", "f": "FOREIGN TABLE",
}  # fmt: skip

_FOUND = """
SELECT c.relname, c.relkind, c.oid, pn.nspname, p.relname,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM pg_constraint o, unnest(o.conkey) WITH ORDINALITY k(c, n),
        pg_attribute a WHERE o.conrelid = c.oid AND o.contype = 'p' AND a.attrelid = c.oid AND a.attnum = k.c)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')))
AND c.relname <> ALL (%s) ORDER BY c.relkind = 'p', c.relname"""

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped"""


@dataclass(frozen=True, slots=True)
class Stranger:
    """One relation. key : when its name is that of a partition of a registry dataset. parent : what it is a partition
    of. why : what speaks against attaching it, empty when nothing does. rows : whether it has any."""

    table: str
    kind: Kind
    key: PartitionKey | None
    parent: tuple[str, str] | None
    why: str
    rows: bool

    @property
    def fits(self) -> bool:
        return not self.why and self.key is not None and self.rows


def strangers(
    con: psycopg.Connection[tuple[Any, ...]], schema: str, ours: set[str], columns: Mapping[str, Schema]
) -> list[Stranger]:
    """All of them, partitioned parents last. Looks at names, columns, keys; rows are judged when they are read."""
    out = []
    for table, kind, oid, parent_schema, parent, key_columns in con.execute(_FOUND, (schema, sorted(ours))).fetchall():
        key = _key(str(table), columns)
        why, rows = "", False
        if kind != "r" or key is None:
            why = "its name is not that of a partition" if kind == "r" else f"it is no plain table ({_KINDS[kind]})"
        else:
            found = {str(a): str(b) for a, b in con.execute(_COLUMNS, (oid,)).fetchall()}
            why = _difference(found, columns[key.dataset])
            if not why and key_columns not in (None, ["pair", "ts_utc"]):
                why = f"its primary key is ({', '.join(key_columns)}), not (pair, ts_utc)"
            rows = _any(con, schema, str(table))
        above = (str(parent_schema), str(parent)) if parent else None
        out.append(Stranger(str(table), _KINDS[str(kind)], key, above, why, rows))
    return out


def _key(table: str, columns: Mapping[str, Schema]) -> PartitionKey | None:
    if not PartitionKey.is_name(table):
        return None
    key = PartitionKey.parse(table)
    return key if key.dataset in columns else None


def _difference(found: Mapping[str, str], schema: Schema) -> str:
    wanted = {"pair": "text", "ts_utc": "timestamp with time zone"}
    wanted |= {column: kind_of(column, dtype).server for column, dtype in schema}
    if missing := sorted(set(wanted) - set(found)):
        return f"it lacks {len(missing)} columns of the registry, first {missing[0]}"
    if more := sorted(set(found) - set(wanted)):
        return f"it has {len(more)} columns the registry does not have, first {more[0]}"
    for column, kind in wanted.items():
        if found[column] != kind:
            return f"its column {column} is {found[column]}, not {kind}"
    return ""


def _any(con: psycopg.Connection[tuple[Any, ...]], schema: str, table: str) -> bool:
    from psycopg import sql

    row = con.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(name(schema, table))).fetchone()
    return bool(row and row[0])
