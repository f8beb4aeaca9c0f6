"""Exact row counts of many tables, over several sessions; estimates are not counts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import psycopg

Rows = Literal["exact", "fast", "skip"]
JOBS = 2
CHUNK = 24
"""Tables a statement."""
SAMPLE = 0.05
LEAST = 8


def count_rows(
    open_session: Callable[[], psycopg.Connection[Any]],
    schema: str,
    tables: Sequence[tuple[int, str]],
    *,
    told: Callable[[int], None] = lambda tables: None,
) -> dict[int, int]:
    """OID -> count(*) of tables given as (OID, name); `told` hears how many tables a statement has counted."""
    chunks = [list(tables[i : i + CHUNK]) for i in range(0, len(tables), CHUNK)]
    if not chunks:
        return {}
    shares = [chunks[i::JOBS] for i in range(min(JOBS, len(chunks)))]

    def work(share: list[list[tuple[int, str]]]) -> dict[int, int]:
        out: dict[int, int] = {}
        with open_session() as con:
            for chunk in share:
                out |= _count(con, schema, chunk)
                told(len(chunk))
        return out

    if len(shares) == 1:
        return work(shares[0])
    with ThreadPoolExecutor(JOBS, thread_name_prefix="bqx-count") as pool:
        return {oid: n for found in pool.map(work, shares) for oid, n in found.items()}


def sample(oids: Sequence[int], seed: str) -> list[int]:
    """A twentieth of the tables, at least eight, the same for the same seed."""
    ordered = sorted(oids)
    size = min(len(ordered), max(LEAST, round(len(ordered) * SAMPLE)))
    return sorted(random.Random(seed).sample(ordered, size))  # noqa: S311 - which tables, no secret


def _count(con: psycopg.Connection[Any], schema: str, chunk: Sequence[tuple[int, str]]) -> dict[int, int]:
    from psycopg import sql

    one = sql.SQL("SELECT {}::int8, count(*) FROM ONLY {}")
    union = sql.SQL(" UNION ALL ").join(
        one.format(sql.Literal(oid), sql.Identifier(schema, name)) for oid, name in chunk
    )
    return {row[0]: row[1] for row in con.execute(union)}
