"""SQL over bars and features: DuckDB over the manifest's file list, which can read those files and nothing else."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from bqx.base.errors import UsageError
from bqx.store.arrow import ArrowStream
from bqx.store.files import Files, LocalFiles
from bqx.store.known import AsOf, known_us
from bqx.store.manifest import Manifest
from bqx.store.views import View, table_names, views

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WORD = re.compile(r"[a-z_][a-z0-9_]*")


class Sql:
    """Tables: a dataset or a partition by its name, `bars`, `bars_<pair>`, and `partitions` (what there is).

    Dataset tables and `bars` have a `pair` column. `memory_gb` bounds DuckDB, which never spills to disk.
    """

    def __init__(
        self,
        root: Path,
        manifest: Manifest,
        *,
        memory_gb: float = 4.0,
        threads: int = 0,
        files: Files | None = None,
    ) -> None:
        self.files, self.manifest = files or LocalFiles(root), manifest
        self.memory_gb, self.threads = memory_gb, threads

    def tables(self, as_of: AsOf = None) -> list[str]:
        """Names a query can use."""
        return table_names(self.manifest, known_us(as_of))

    def query(self, sql: str, as_of: AsOf = None, limit: int | None = None) -> pl.DataFrame:
        """Run one SELECT. Raises UsageError for anything else, for unknown names and for what DuckDB refuses."""
        known = known_us(as_of)
        named = views(self.manifest, known, sorted(set(WORD.findall(sql.lower()))))
        con = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
        try:
            self._prepare(con, named)
            _check_select(con, sql)
            relation = con.sql(sql)
            if limit is not None:
                relation = relation.limit(limit)
            return pl.DataFrame(ArrowStream(relation))
        except duckdb.CatalogException as error:
            raise UsageError(_first_line(error), where="query", fix=self._near(error, known)) from error
        except duckdb.Error as error:
            raise UsageError(_first_line(error), where="query") from error
        finally:
            con.close()

    def _prepare(self, con: DuckDBPyConnection, named: Mapping[str, View]) -> None:
        """Views for the names in the query; then the door is shut: no other file, no extension, no setting."""
        for statement in (
            "SET TimeZone = 'UTC'",
            f"SET memory_limit = '{self.memory_gb:f}GB'",
            "SET temp_directory = ''",
            "SET preserve_insertion_order = true",
        ):
            con.execute(statement)
        if self.threads:
            con.execute(f"SET threads = {self.threads:d}")
        wanted = {file.path: file for view in named.values() for file in view.files}
        fetched = self.files.fetch([wanted[path] for path in sorted(wanted)])
        listed = ", ".join(_quote(str(path.resolve())) for path in fetched)
        con.execute(f"SET allowed_paths = [{listed}]")
        con.execute("SET enable_external_access = false")
        for name, view in named.items():
            con.execute(f'CREATE VIEW "{name}" AS {view.sql(self.files.folder.resolve())}')
        con.execute("SET lock_configuration = true")

    def _near(self, error: duckdb.Error, as_of: int | None) -> str:
        found = re.search(r"Table with name (\S+) does not exist", str(error))
        if found is None:
            return "see the DuckDB documentation of SELECT"
        names = table_names(self.manifest, as_of)
        near = difflib.get_close_matches(found[1].lower(), names, n=3) or names[:5]
        return f"tables there are: {', '.join(near)}"


def _check_select(con: DuckDBPyConnection, sql: str) -> None:
    """Raise UsageError unless `sql` is one SELECT: allowed paths could be overwritten by COPY."""
    statements = con.extract_statements(sql)
    kinds = [str(statement.type).rsplit(".", 1)[-1] for statement in statements]
    if kinds != ["SELECT"]:
        raise UsageError(
            f"a query is one SELECT, this is {' and '.join(kinds) or 'empty'}",
            where="query",
            fix="the store is read-only here; write results with `bqx query ... -o FILE`",
        )


def _first_line(error: duckdb.Error) -> str:
    return str(error).strip().splitlines()[0]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
