"""`bqx store upgrade`: schemas, manifest, tables, leaves and rights as this bqx needs them. The only path for DDL.

Idempotent and resumable: each step is one transaction of at most `BATCH` leaves, and what exists is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bqx.base.errors import TablesError
from bqx.store.contract import Schema
from bqx.store.partition import PartitionKey, check_dataset
from bqx.store.pg import ddl
from bqx.store.pg.columns import features, kind_of
from bqx.store.pg.layout import Layout
from bqx.store.pg.manifest import PgManifest
from bqx.store.pg.sessions import Sessions
from bqx.store.schema import STEPS

if TYPE_CHECKING:
    from psycopg.sql import Composed

BATCH = 336
"""Leaves a transaction, a year of 28 pairs: some 700 locks, while the default lock table holds 6,400."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Tables a store must have: each dataset's columns (name, Polars type), pairs, months (yyyy_mm), roles."""

    columns: Mapping[str, Schema]
    pairs: Sequence[str] = ()
    months: Sequence[str] = ()
    reader: str | None = None
    writer: str | None = None


@dataclass(slots=True)
class Step:
    """One transaction: what it makes, its statements, and rows for the list of relations."""

    what: str
    statements: list[Composed]
    relations: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Upgraded:
    """Steps done (or that would be), relations made, statements of a dry run."""

    steps: tuple[str, ...]
    relations: int
    statements: tuple[str, ...]
    dry_run: bool


def upgrade(
    sessions: Sessions,
    layout: Layout,
    wanted: Wanted,
    *,
    dry_run: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Upgraded:
    """Apply what is missing. Raises TablesError, before anything is changed, when a table of ours has a column of
    another type or a table of somebody else bears a name we need (`bqx store adopt` deals with those)."""
    for dataset in wanted.columns:
        check_dataset(dataset)
    todo = _plan(sessions, layout, wanted)
    texts: list[str] = []
    with sessions.lend() as con:
        for number, step in enumerate(todo):
            if progress:
                progress(number, len(todo), step.what)
            if dry_run:
                texts += [statement.as_string(con) for statement in step.statements]
            else:
                _apply(con, layout, step)
    made = sum(len(step.relations) for step in todo)
    return Upgraded(tuple(step.what for step in todo), made, tuple(texts), dry_run)


def _apply(con: Any, layout: Layout, step: Step) -> None:
    import psycopg

    with con.transaction():
        con.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"upgrade {layout.schema}",))
        for start in range(0, len(step.statements), 64):
            part = psycopg.sql.SQL("; ").join(step.statements[start : start + 64])
            con.execute(part)
        if step.version is not None:
            _manifest_steps(con, layout, step.version)
        with con.cursor() as cursor:
            sql = psycopg.sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s, 'made') ON CONFLICT DO NOTHING")
            if step.relations:
                cursor.executemany(sql.format(psycopg.sql.Identifier(layout.manifest, "relation")), step.relations)


def _manifest_steps(con: Any, layout: Layout, found: int) -> None:
    """The steps of the SQLite manifest, said in PostgreSQL's words, inside the open transaction."""
    from psycopg import sql

    from bqx.store.pg.manifest import PgConnection

    speaker = PgConnection(con, 0)
    con.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(layout.manifest)))
    for number, step in enumerate(STEPS[found:], found + 1):
        step(speaker)  # type: ignore[arg-type]  # speaks enough of sqlite3.Connection
        con.execute("INSERT INTO format VALUES (%s)", (number,))


def _plan(sessions: Sessions, layout: Layout, wanted: Wanted) -> list[Step]:
    manifest = PgManifest(sessions, layout, check=False)
    version = manifest.format()
    todo = []
    if version < len(STEPS):
        base = [*ddl.schemas(layout), *ddl.manifest_base(layout)]
        todo.append(Step(f"manifest {version} -> {len(STEPS)}", base, version=version))
    held = Held.read(sessions, layout)
    _refuse_strangers(held, layout, wanted)
    for dataset, schema in wanted.columns.items():
        todo += _dataset(held, layout, dataset, features(schema), wanted)
    made = sorted(held.ours - held.adopted)
    rights = ddl.grants(layout, wanted.reader, wanted.writer, made)
    # rights come before tables are made: what is made later has them by default
    return (
        [*todo[:1], *([Step("rights", rights)] if rights else []), *todo[1:]]
        if version < len(STEPS)
        else [
            *([Step("rights", rights)] if rights else []),
            *todo,
        ]
    )


def _dataset(held: Held, layout: Layout, dataset: str, columns: Schema, wanted: Wanted) -> Iterator[Step]:
    if dataset not in held.columns:
        yield Step(dataset, [ddl.root(layout, dataset, columns)], [(dataset, dataset, None, None)])
    else:
        found = held.columns[dataset]
        for column, dtype in columns:
            server = kind_of(column, dtype).server
            if found.get(column, server) != server:
                raise TablesError(
                    f"column {column} of {dataset} is {found[column]}, not {server}",
                    where=layout.schema,
                    fix="rename that dataset's table away, or drop it, and run this again",
                )
        if missing := tuple((column, dtype) for column, dtype in columns if column not in found):
            yield Step(f"{dataset}: {len(missing)} columns", [ddl.add_columns(layout, dataset, missing)])
    for pair in wanted.pairs:
        step = Step(f"{dataset} {pair}", [])
        table = f"{dataset}_{pair}"
        if table not in held.ours:
            step.statements.append(ddl.pair_table(layout, dataset, pair))
            step.relations.append((table, dataset, pair, None))
        for ym in wanted.months:
            key = PartitionKey(dataset, pair, ym).checked()
            if key.name not in held.ours:
                step.statements.append(ddl.leaf(layout, key))
                step.relations.append((key.name, dataset, pair, ym))
            if len(step.statements) >= BATCH:
                yield step
                step = Step(f"{dataset} {pair}", [])
        if step.statements:
            yield step


def _refuse_strangers(held: Held, layout: Layout, wanted: Wanted) -> None:
    names = set(wanted.columns) | {f"{d}_{p}" for d in wanted.columns for p in wanted.pairs}
    names |= {f"{d}_{p}_{m}" for d in wanted.columns for p in wanted.pairs for m in wanted.months}
    strangers = sorted(names & (held.relations - held.ours))
    if strangers:
        raise TablesError(
            f"{len(strangers)} tables that bqx did not make have names it needs, first {strangers[0]}",
            where=layout.schema,
            fix="`bqx store adopt --dry-run` says which it would attach and which it would move aside",
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What the schema holds: every relation, those in our list, the adopted ones, and the roots' columns."""

    relations: set[str]
    ours: set[str]
    adopted: set[str]
    columns: dict[str, dict[str, str]]

    @classmethod
    def read(cls, sessions: Sessions, layout: Layout) -> Held:
        """A relation is ours when our list has it and it still hangs below one of our roots."""
        with sessions.lend() as con, con.transaction():
            relations = {
                str(row[0])
                for row in con.execute(
                    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                    "WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')",
                    (layout.schema,),
                )
            }
            listed: dict[str, str] = {}
            known = con.execute("SELECT to_regclass(%s)", (f'"{layout.manifest}".relation',)).fetchone()
            if known and known[0]:
                from psycopg import sql

                table = sql.Identifier(layout.manifest, "relation")
                rows = con.execute(sql.SQL("SELECT name, origin FROM {}").format(table)).fetchall()
                listed = {str(a): str(b) for a, b in rows}
            ours = relations & set(listed)
            columns: dict[str, dict[str, str]] = {}
            for table_name, column, kind in con.execute(
                "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
                "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = %s AND c.relkind = 'p' AND NOT c.relispartition AND a.attnum > 0 "
                "AND NOT a.attisdropped ORDER BY a.attnum",
                (layout.schema,),
            ):
                if table_name in ours:
                    columns.setdefault(str(table_name), {})[str(column)] = str(kind)
        adopted = {n for n, origin in listed.items() if origin == "adopted" and n in ours}
        return cls(relations, ours, adopted, columns)
