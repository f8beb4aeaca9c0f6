"""Every statement that makes, alters or moves tables in PostgreSQL. `tests/store/test_ddl_lint.py` finds any elsewhere.

Statements come as psycopg compositions: names are quoted identifiers, values literals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bqx.market.calendar import datetime_of
from bqx.store.contract import Schema
from bqx.store.partition import PartitionKey
from bqx.store.pg.columns import kind_of
from bqx.store.pg.dialect import APPEND_ONLY
from bqx.store.pg.layout import Layout
from bqx.store.pg.quoting import name

if TYPE_CHECKING:
    from psycopg.sql import Composable, Composed

LEAF_OPTIONS: dict[str, str] = {
    # rows come once and stay: freeze them at the first vacuum, which comes soon after the load
    "autovacuum_vacuum_insert_threshold": "5000",
    "autovacuum_vacuum_insert_scale_factor": "0",
    "autovacuum_freeze_min_age": "0",
    # a rebuilt month leaves the old rows behind all at once: take them away soon
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_vacuum_scale_factor": "0",
    # the writer analyzes in the transaction that brings the rows
    "autovacuum_analyze_threshold": "2000000000",
    "autovacuum_analyze_scale_factor": "0",
}


def _sql(text: str, **parts: Composable) -> Composed:
    from psycopg import sql

    return sql.SQL(text).format(**parts)


def _literal(value: object) -> Composable:
    from psycopg import sql

    return sql.Literal(value)


def schemas(layout: Layout) -> list[Composed]:
    return [_sql("CREATE SCHEMA IF NOT EXISTS {s}", s=name(s)) for s in (layout.schema, layout.manifest)]


def legacy_schema(layout: Layout) -> Composed:
    return _sql("CREATE SCHEMA IF NOT EXISTS {s}", s=name(layout.legacy))


def manifest_base(layout: Layout) -> list[Composed]:
    """What the manifest's own steps do not make: format, list of relations, functions."""
    manifest, schema = name(layout.manifest), _literal(layout.schema)
    return [
        _sql("CREATE TABLE IF NOT EXISTS {t} (version bigint PRIMARY KEY)", t=name(layout.manifest, "format")),
        _sql(
            "CREATE TABLE IF NOT EXISTS {t} (name text PRIMARY KEY, dataset text NOT NULL, pair text, ym text,"
            " origin text NOT NULL CHECK (origin IN ('made', 'adopted')))",
            t=name(layout.manifest, "relation"),
        ),
        _sql(
            f"CREATE OR REPLACE FUNCTION {{m}}.{APPEND_ONLY}() RETURNS trigger LANGUAGE plpgsql SET search_path = ''"
            " AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$",
            m=manifest,
        ),
        # a writer may not analyze tables it does not own: this does it for partitions of ours, and nothing else.
        # What plans hinge on is the size and ts_utc; 56 more columns would take half as long as the rows themselves.
        _sql(
            "CREATE OR REPLACE FUNCTION {m}.analyze_leaf(leaf text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER"
            " SET search_path = ''"
            " AS $$ BEGIN IF EXISTS (SELECT FROM {m}.relation WHERE name = leaf AND ym IS NOT NULL) THEN"
            " EXECUTE format('ANALYZE %I.%I (pair, ts_utc)', {s}, leaf); END IF; END $$",
            m=manifest,
            s=schema,
        ),
        _sql("REVOKE ALL ON FUNCTION {m}.analyze_leaf(text) FROM PUBLIC", m=manifest),
    ]


def root(layout: Layout, dataset: str, columns: Schema) -> Composed:
    from psycopg import sql

    listed = sql.SQL(", ").join(
        sql.SQL("{} " + kind_of(column, dtype).server).format(name(column)) for column, dtype in columns
    )
    return _sql(
        "CREATE TABLE {t} (pair text NOT NULL, ts_utc timestamptz NOT NULL, {c}, PRIMARY KEY (pair, ts_utc))"
        " PARTITION BY LIST (pair)",
        t=layout.root(dataset),
        c=listed,
    )


def add_columns(layout: Layout, dataset: str, columns: Schema) -> Composed:
    from psycopg import sql

    added = sql.SQL(", ").join(
        sql.SQL("ADD COLUMN {} " + kind_of(column, dtype).server).format(name(column)) for column, dtype in columns
    )
    return _sql("ALTER TABLE {t} {a}", t=layout.root(dataset), a=added)


def pair_table(layout: Layout, dataset: str, pair: str) -> Composed:
    return _sql(
        "CREATE TABLE {t} PARTITION OF {r} FOR VALUES IN ({p}) PARTITION BY RANGE (ts_utc)",
        t=layout.pair_table(dataset, pair),
        r=layout.root(dataset),
        p=_literal(pair),
    )


def leaf(layout: Layout, key: PartitionKey) -> Composed:
    """An empty partition; `pair` has its value by default, so that COPY need not carry it."""
    options = ", ".join(f"{option} = {value}" for option, value in LEAF_OPTIONS.items())
    return _sql(
        f"CREATE TABLE {{t}} PARTITION OF {{r}} (pair DEFAULT {{p}}) FOR VALUES FROM ({{a}}) TO ({{b}})"
        f" WITH ({options})",
        t=layout.leaf(key),
        r=layout.pair_table(key.dataset, key.pair),
        p=_literal(key.pair),
        **_bounds(key),
    )


def detach(parent: tuple[str, str], schema: str, table: str) -> Composed:
    return _sql("ALTER TABLE {p} DETACH PARTITION {t}", p=name(*parent), t=name(schema, table))


def attach(layout: Layout, key: PartitionKey) -> list[Composed]:
    """A table of the right shape becomes the partition; its rows stay as they are."""
    return [
        _sql("ALTER TABLE {t} ALTER COLUMN pair SET NOT NULL, ALTER COLUMN ts_utc SET NOT NULL", t=layout.leaf(key)),
        _sql(
            "ALTER TABLE {r} ATTACH PARTITION {t} FOR VALUES FROM ({a}) TO ({b})",
            r=layout.pair_table(key.dataset, key.pair),
            t=layout.leaf(key),
            **_bounds(key),
        ),
    ]


def bring(layout: Layout, schema: str, table: str) -> Composed:
    """A table from another schema into that of the features."""
    return _sql("ALTER TABLE {t} SET SCHEMA {s}", t=name(schema, table), s=name(layout.schema))


def drop_leaf(layout: Layout, key: PartitionKey) -> Composed:
    return _sql("DROP TABLE {t}", t=layout.leaf(key))


def move_aside(layout: Layout, table: str, new: str, kind: str) -> list[Composed]:
    """Into the legacy schema, as `new`. kind : TABLE, VIEW, MATERIALIZED VIEW, SEQUENCE or FOREIGN TABLE."""
    out = [_sql(f"ALTER {kind} {{t}} RENAME TO {{n}}", t=name(layout.schema, table), n=name(new))]
    out = out if new != table else []
    return [*out, _sql(f"ALTER {kind} {{t}} SET SCHEMA {{s}}", t=name(layout.schema, new), s=name(layout.legacy))]


def rename(schema: str, old: str, new: str) -> Composed:
    return _sql("ALTER TABLE {o} RENAME TO {n}", o=name(schema, old), n=name(new))


def grants(layout: Layout, reader: str | None, writer: str | None, made: Iterable[str] = ()) -> list[Composed]:
    """What each role may: readers read features and manifest, writers also bring and remove rows of tables we made."""
    out: list[Composed] = []
    for role, features, manifest in (
        (reader, "SELECT", "SELECT"),
        (writer, "SELECT, INSERT, DELETE", "SELECT, INSERT, UPDATE, DELETE"),
    ):
        if not role:
            continue
        for schema, rights in ((layout.schema, features), (layout.manifest, manifest)):
            parts: dict[str, Composable] = {"s": name(schema), "r": name(role)}
            out.append(_sql("GRANT USAGE ON SCHEMA {s} TO {r}", **parts))
            out.append(_sql(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {{s}} GRANT {rights} ON TABLES TO {{r}}", **parts))
        out.append(
            _sql(f"GRANT {manifest} ON ALL TABLES IN SCHEMA {{s}} TO {{r}}", s=name(layout.manifest), r=name(role))
        )
        tables = [name(layout.schema, table) for table in made]
        out += [_sql(f"GRANT {features} ON TABLE {{t}} TO {{r}}", t=table, r=name(role)) for table in tables]
    if writer:
        function = "GRANT EXECUTE ON FUNCTION {m}.analyze_leaf(text) TO {r}"
        out.append(_sql(function, m=name(layout.manifest), r=name(writer)))
        for table in ("format", "relation"):
            which: dict[str, Composable] = {"t": name(layout.manifest, table), "r": name(writer)}
            out.append(_sql("REVOKE INSERT, UPDATE, DELETE ON {t} FROM {r}", **which))
    return out


def reader_only(layout: Layout, key: PartitionKey, roles: Sequence[str]) -> list[Composed]:
    """On an adopted table nobody but its owner writes."""
    return [_sql("GRANT SELECT ON {t} TO {r}", t=layout.leaf(key), r=name(role)) for role in roles]


def _bounds(key: PartitionKey) -> dict[str, Composable]:
    start, end = key.span
    return {"a": _literal(datetime_of(start).isoformat()), "b": _literal(datetime_of(end).isoformat())}
