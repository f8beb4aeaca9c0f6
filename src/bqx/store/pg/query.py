"""SQL over features that are on a server: the server runs it, in a transaction that can only read."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bqx.base.errors import Unsupported, UsageError
from bqx.store.known import AsOf
from bqx.store.listing import dataset_names
from bqx.store.pg.manifest import PgManifest
from bqx.store.pg.quoting import name
from bqx.store.sql import WORD, Sql
from bqx.store.views import is_partition, table_names

SECONDS = 300
"""How long a query may run."""


class PgSql(Sql):
    """Datasets and partitions are tables of the server and asked there, in its SQL; `bars`, `bars_<pair>` and
    `partitions` are asked of DuckDB, as ever. One query cannot have both."""

    def __init__(self, root: Path, manifest: PgManifest, *, memory_gb: float = 4.0, threads: int = 0) -> None:
        super().__init__(root, manifest, memory_gb=memory_gb, threads=threads)
        self._server = manifest

    def query(self, sql: str, as_of: AsOf = None, limit: int | None = None) -> pl.DataFrame:
        words = set(WORD.findall(sql.lower()))
        with self.manifest.connection() as con:
            datasets = set(dataset_names(con))
        there = {word for word in words if word in datasets or is_partition(word, datasets)}
        if not there:
            return super().query(sql, as_of, limit)
        if here := sorted(word for word in words if word in ("bars", "partitions") or word.startswith("bars_")):
            raise Unsupported(
                f"{here[0]} is not on the server, {sorted(there)[0]} is",
                where="query",
                fix="ask them apart, or `bqx store copy` the features into a lake",
            )
        if as_of is not None:
            raise Unsupported("features on a server have no past", where="query", fix="leave --as-of out")
        return self._ask(sql, limit)

    def _ask(self, text: str, limit: int | None) -> pl.DataFrame:
        """Declared as a cursor, a statement can be nothing but one query, without writes inside."""
        import psycopg
        from psycopg import sql

        with self._server.sessions.lend() as con, con.transaction(force_rollback=True):
            con.execute("SET TRANSACTION READ ONLY")
            con.execute(f"SET LOCAL statement_timeout = {SECONDS * 1000:d}".encode())
            con.execute(sql.SQL("SET LOCAL search_path = {}").format(name(self._server.layout.schema)))
            cursor = psycopg.Cursor(con)
            try:
                # the extended protocol (binary=True) takes one statement and no second one
                cursor.execute(b"DECLARE bqx_query NO SCROLL CURSOR FOR " + text.rstrip("; \n").encode(), binary=True)
                cursor.execute(f"FETCH {limit:d} FROM bqx_query" if limit else "FETCH ALL FROM bqx_query")
            except (
                psycopg.ProgrammingError,
                psycopg.DataError,
                psycopg.NotSupportedError,
                psycopg.errors.ReadOnlySqlTransaction,
            ) as error:
                raise UsageError(str(error).splitlines()[0], where="query", fix=self._names()) from error
            rows, columns = cursor.fetchall(), [column.name for column in cursor.description or ()]
        return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)

    def _names(self) -> str:
        found = [table for table in table_names(self.manifest, None) if not table.startswith("bars")]
        return f"a query is one SELECT over tables such as {', '.join(found[:5])}"
