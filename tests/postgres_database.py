"""Databases for tests: prepared by `bqx store upgrade` once, empty for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from bqx.store.pg.layout import Layout
from bqx.store.pg.manifest import PgManifest
from bqx.store.pg.sessions import Sessions
from bqx.store.pg.upgrade import Wanted, upgrade

LAYOUT = Layout()
_serial = itertools.count()


def dsn_of(dsn: str, database: str) -> str:
    return psycopg.conninfo.make_conninfo(dsn, dbname=database)


@contextmanager
def database(dsn: str) -> Iterator[str]:
    """DSN of a new database on the server of `dsn`, dropped at the end."""
    name = f"bqx_test_{os.getpid()}_{next(_serial)}"
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield dsn_of(dsn, name)
    finally:
        with psycopg.connect(dsn, autocommit=True) as con:
            con.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def sessions(dsn: str, wait: float = 20.0) -> Sessions:
    return Sessions(lambda: dsn, search_path=LAYOUT.manifest, wait=wait)


def prepare(dsn: str, wanted: Wanted) -> None:
    """Tables for `wanted`."""
    made = sessions(dsn)
    upgrade(made, LAYOUT, wanted)
    made.close()


def manifest(dsn: str, wait: float = 20.0) -> PgManifest:
    return PgManifest(sessions(dsn, wait), LAYOUT)


def empty(dsn: str) -> None:
    """No rows in any feature table, nothing in the manifest; tables, roles and format stay."""
    with psycopg.connect(dsn, autocommit=True) as con:
        names = [
            sql.Identifier(schema, table)
            for schema, table in con.execute(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relkind = 'r' AND pg_relation_size(c.oid) > 0 AND (n.nspname = %s "
                "OR n.nspname = %s AND c.relname NOT IN ('format', 'relation'))",
                (LAYOUT.schema, LAYOUT.manifest),
            )
        ]
        if names:
            con.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names)))


class Prepared:
    """One database a server and name, made when first asked for and emptied for each test that asks again."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], str] = {}
        self._open: list[Callable[[], None]] = []

    def of(self, dsn: str, name: str, wanted: Wanted) -> str:
        """Its DSN, with empty tables; making and dropping a database a test would cost a second each."""
        if (dsn, name) not in self._made:
            holder = database(dsn)
            own = holder.__enter__()
            self._open.append(lambda: holder.__exit__(None, None, None))
            prepare(own, wanted)
            self._made[dsn, name] = own
        empty(self._made[dsn, name])
        return self._made[dsn, name]

    def close(self) -> None:
        for each in reversed(self._open):
            each()
