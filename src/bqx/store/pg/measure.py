"""What many tables cost the server: bytes of its catalogue, and the time to plan a query that needs one of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from bqx.market.calendar import datetime_of
from bqx.store.partition import PartitionKey
from bqx.store.pg.layout import Layout
from bqx.store.pg.sessions import Sessions

_BYTES = """
SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'pg_catalog' AND c.relkind = 'r' AND NOT c.relisshared"""


@dataclass(frozen=True, slots=True)
class Footprint:
    """relations : of the feature schema, tables and indexes. catalogue_bytes : the database's system tables. cold_ms,
    warm_ms : planning a query of one pair's month, first in a new session and median of the next nine. leaves :
    tables that plan reads."""

    relations: int
    catalogue_bytes: int
    cold_ms: float
    warm_ms: float
    leaves: int


def footprint(sessions: Sessions, layout: Layout, key: PartitionKey) -> Footprint:
    """Ask the server; `key` is the partition whose rows the planned query wants, through the dataset's own table."""
    from psycopg import sql

    start, end = (sql.Literal(datetime_of(minute).isoformat()) for minute in key.span)
    query = sql.SQL(
        "EXPLAIN (FORMAT JSON, SUMMARY) SELECT * FROM {} WHERE pair = {} AND ts_utc >= {} AND ts_utc < {}"
    ).format(layout.root(key.dataset), sql.Literal(key.pair), start, end)
    fresh = Sessions(sessions.dsn, search_path=sessions.search_path)
    try:
        with fresh.lend() as con:
            plans = [_first(con.execute(query))[0] for _ in range(10)]
            size = int(_first(con.execute(_BYTES)))
            count = int(
                _first(
                    con.execute(
                        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                        "WHERE n.nspname = %s",
                        (layout.schema,),
                    )
                )
            )
    finally:
        fresh.close()
    times = [float(plan["Planning Time"]) for plan in plans]
    return Footprint(count, size, times[0], statistics.median(times[1:]), _tables(plans[0]["Plan"]))


def _tables(node: dict[str, Any]) -> int:
    return ("Relation Name" in node) + sum(_tables(part) for part in node.get("Plans", ()))


def _first(cursor: Any) -> Any:
    return cursor.fetchone()[0]
