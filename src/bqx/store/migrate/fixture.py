"""The world before stage 1.6.9: four legacy families of 28 parents and 336 monthly partitions each, with indexes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bqx.base.secret import Secret
from bqx.market.pairs import PAIRS
from bqx.store.migrate.connect import connect, told

if TYPE_CHECKING:
    import psycopg

ROWS: Mapping[str, int] = {
    "statistics": 10_315_898,
    "bollinger": 10_315_898,
    "fibonacci": 10_235_258,
    "correlation": 0,
}
"""Rows that the stage's report names, by family: 30,867,054."""
MONTHS = tuple((2024 + (6 + k) // 12, (6 + k) % 12 + 1) for k in range(12))
"""2024-07 to 2025-06."""
WORD = "features"


@dataclass(frozen=True)
class Built:
    """What was made. rows : by family."""

    tables: int
    indexes: int
    rows: Mapping[str, int]
    seconds: float


@dataclass(frozen=True)
class World:
    """What to make. share : of the rows; columns : of float4 after the time; more_indexes : one beside the key."""

    schema: str = "bqx"
    families: Sequence[str] = tuple(ROWS)
    pairs: Sequence[str] = PAIRS
    months: Sequence[tuple[int, int]] = MONTHS
    share: float = 0.0
    columns: int = 1
    more_indexes: bool = False
    rows: Mapping[str, int] = field(default_factory=lambda: ROWS)

    def leaves(self, family: str) -> dict[str, int]:
        """Rows of each partition: equal shares, what is left over to the first ones."""
        names = [leaf(family, pair, month) for pair in self.pairs for month in self.months]
        total = round(self.rows.get(family, 0) * self.share)
        each, over = divmod(total, len(names))
        return {name: each + (k < over) for k, name in enumerate(names)}


def leaf(family: str, pair: str, month: tuple[int, int]) -> str:
    return f"{family}_{WORD}_{pair}_{month[0]}_{month[1]:02d}"


def build(
    dsn: Secret | str, world: World, *, jobs: int = 2, progress: Callable[[str, int, int], None] | None = None
) -> Built:
    """Make schema, tables, rows and primary keys. The schema may be there, not the tables.

    Each family is made in its own transaction, `jobs` at a time; keys come after the rows, for speed.
    """
    clock = time.perf_counter()
    with told("fixture"), connect(dsn) as con:
        from psycopg import sql

        con.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(world.schema)))
    done = [0]
    total = len(world.families) * len(world.pairs)

    def hear() -> None:
        done[0] += 1
        if progress is not None:
            progress("parents made", done[0], total)

    def work(task: tuple[str, str]) -> int:
        with told(f"fixture {task[0]} {task[1]}"), connect(dsn) as con:
            made = _pair(con, world, *task)
        hear()
        return made

    tasks = [(family, pair) for pair in world.pairs for family in world.families]
    with ThreadPoolExecutor(jobs, thread_name_prefix="bqx-fixture") as pool:
        indexes = sum(pool.map(work, tasks))
    rows = {family: sum(world.leaves(family).values()) for family in world.families}
    return Built(len(tasks) * (1 + len(world.months)), indexes, rows, time.perf_counter() - clock)


def _pair(con: psycopg.Connection[Any], world: World, family: str, pair: str) -> int:
    """One parent with its partitions, in one transaction; the number of its indexes."""
    from psycopg import sql

    parent = f"{family}_{WORD}_{pair}"
    rows = world.leaves(family)
    columns = sql.SQL(", ").join(sql.SQL("{} real").format(sql.Identifier(f"f{k}")) for k in range(world.columns))
    top = sql.Identifier(world.schema, parent)
    statements = [
        sql.SQL("CREATE TABLE {} (ts_utc timestamptz NOT NULL, {}) PARTITION BY RANGE (ts_utc)").format(top, columns)
    ]
    values = sql.SQL(", ").join([sql.SQL("(i % 997)::real / 997")] * world.columns)
    for year, month in world.months:
        name = sql.Identifier(world.schema, leaf(family, pair, (year, month)))
        low, high = f"{year}-{month:02d}-01", f"{year + month // 12}-{month % 12 + 1:02d}-01"
        statements.append(
            sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
                name, top, sql.Literal(f"{low} 00:00+00"), sql.Literal(f"{high} 00:00+00")
            )
        )
        if count := rows[leaf(family, pair, (year, month))]:
            statements.append(
                sql.SQL(
                    "INSERT INTO {} SELECT {}::timestamptz + make_interval(mins => i), {} FROM generate_series(0, {}) i"
                ).format(name, sql.Literal(f"{low} 00:00+00"), values, sql.Literal(count - 1))
            )
    statements.append(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (ts_utc)").format(top))
    for year, month in world.months if world.more_indexes else ():
        part = leaf(family, pair, (year, month))
        statements.append(
            sql.SQL("CREATE INDEX {} ON {} USING brin (ts_utc)").format(
                sql.Identifier(f"idx_{part}_ts"), sql.Identifier(world.schema, part)
            )
        )
    con.execute(sql.SQL(";\n").join(statements))
    con.execute("SELECT pg_stat_force_next_flush()")  # else a plan made at once would see writes that come after it
    return 1 + len(world.months) * (2 if world.more_indexes else 1)


def size(world: World) -> dict[str, int]:
    """Tables, rows and bytes (heap and key) that `build` would make."""
    rows = sum(sum(world.leaves(family).values()) for family in world.families)
    width = 24 + 4 + 8 + 4 * world.columns + (4 * world.columns + 8) % 8
    tables = len(world.families) * len(world.pairs) * (1 + len(world.months))
    return {"tables": tables, "rows": rows, "bytes": rows * (width + 22) + tables * 3 * 8192}


def exists(dsn: Secret | str, world: World) -> str | None:
    """A table of the world that is there already."""
    names = [f"{family}_{WORD}_{pair}" for family in world.families for pair in world.pairs]
    with told("fixture"), connect(dsn) as con:
        row = con.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relname = ANY(%s)"
            " ORDER BY 1 LIMIT 1",
            (world.schema, names),
        ).fetchone()
    return None if row is None else str(row[0])
