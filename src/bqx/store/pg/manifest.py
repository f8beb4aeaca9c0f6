"""The manifest in PostgreSQL: tables and rules of the SQLite file, for several hosts and for the store there."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import xxhash

from bqx.base.errors import StoreError, TablesError, Unsupported
from bqx.base.faults import fault
from bqx.store.manifest import Manifest
from bqx.store.pg.dialect import identity_table, identity_tables, numbered, translate
from bqx.store.pg.failures import translated
from bqx.store.pg.layout import Layout
from bqx.store.pg.sessions import Sessions
from bqx.store.schema import STEPS

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]
    Cursor = psycopg.Cursor[tuple[Any, ...]]

_BUSY_MS = 60_000
_UPGRADE = "run `bqx store upgrade` as the tables' owner"


class PgRows:
    """What `execute` gives: rows to fetch or go through, and the id of a row just made."""

    def __init__(self, cursor: Cursor, lastrowid: int | None = None) -> None:
        self._cursor, self.lastrowid = cursor, lastrowid

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)


class PgConnection:
    """Speaks the manifest's SQLite dialect over a PostgreSQL connection; `raw` is that connection."""

    def __init__(self, raw: Connection, lock_key: int) -> None:
        self.raw, self._lock_key = raw, lock_key

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> PgRows:
        """One statement with `?`, `?1` or `:name` placeholders."""
        text, bound = translate(sql), self._bound(sql, values)
        table = identity_table(sql)
        if table is not None and " RETURNING " not in text:
            cursor = self.raw.execute(f"{text} RETURNING id".encode(), bound)
            row = cursor.fetchone()
            return PgRows(cursor, int(row[0]) if row else None)
        return PgRows(self.raw.execute(text.encode(), bound))

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self.raw.cursor() as cursor:
            cursor.executemany(translate(sql).encode(), [self._bound(sql, row) for row in rows])

    @staticmethod
    def _bound(sql: str, values: Sequence[Any] | Mapping[str, Any]) -> Any:
        if isinstance(values, Mapping):
            return {name: _plain(value) for name, value in values.items()}
        if numbered(sql):
            return {f"p{number}": _plain(value) for number, value in enumerate(values, 1)}
        return tuple(_plain(value) for value in values)

    def lock(self) -> None:
        """Become the manifest's only writer until the transaction ends."""
        self.raw.execute("SELECT pg_advisory_xact_lock(%s)", (self._lock_key,))

    def lock_names(self, names: Iterable[str]) -> None:
        """Be the only one to write these partitions until the transaction ends; in one order for everybody."""
        for key in sorted({_key(f"partition {name}") for name in names}):
            self.raw.execute("SELECT pg_advisory_xact_lock(%s)", (key,))


class PgManifest(Manifest):
    """`Manifest` on a server. Raises TablesError unless `bqx store upgrade` has made its tables (`check`), Unsupported
    when they are of a newer format. Methods are those of :class:`Manifest`; its connections are lent by `sessions`.
    """

    def __init__(self, sessions: Sessions, layout: Layout, *, check: bool = True) -> None:
        self.sessions, self.layout = sessions, layout
        self.path = PurePosixPath("postgresql") / layout.manifest  # type: ignore[assignment]  # names it in messages
        self._local = threading.local()
        self._open = weakref.WeakSet()
        self._guard = threading.Lock()
        self._lock_key = _key(f"manifest {layout.manifest}")
        if check:
            self._check()

    def _check(self) -> None:
        found = self.format()
        if found > len(STEPS):
            raise Unsupported(
                f"the store has format {found}, this bqx knows formats up to {len(STEPS)}",
                where=str(self.path),
                fix="use the newer bqx that wrote it",
            )
        if found < len(STEPS):
            what = f"are of format {found}, this bqx needs {len(STEPS)}" if found else "have not been made"
            raise TablesError(f"the manifest's tables {what}", where=str(self.path), fix=_UPGRADE)

    def format(self) -> int:
        """Format version of the tables, 0 where there are none."""
        with self.sessions.lend() as con:
            row = con.execute("SELECT to_regclass(%s) IS NULL", (f'"{self.layout.manifest}".format',)).fetchone()
            if row is None or row[0]:
                return 0
            found = con.execute("SELECT max(version) FROM format").fetchone()
            return int(found[0] or 0) if found else 0

    def damage(self) -> list[str]:
        """The server keeps its own pages and references whole."""
        return []

    def after_ids(self, con: sqlite3.Connection) -> None:
        """Let new ids follow those that came with their rows."""
        for table in identity_tables():
            con.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 0) + 1, false) FROM {table}"  # noqa: S608
            )

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """One consistent snapshot; inside `transaction()` it is that transaction's."""
        held: PgConnection | None = getattr(self._local, "held", None)
        if held is not None:
            yield cast(sqlite3.Connection, held)
            return
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", commit=False) as con:
            yield cast(sqlite3.Connection, con)

    @contextmanager
    def transaction(self, *, faults: bool = False) -> Iterator[sqlite3.Connection]:
        """One writer at a time, as in SQLite; rolled back on any exception."""
        with self.writing(faults=faults) as con:
            con.lock()
            yield cast(sqlite3.Connection, con)

    @contextmanager
    def writing(self, *, faults: bool = False) -> Iterator[PgConnection]:
        """A transaction that is not yet the only writer: call `lock()` before touching what all share."""
        if getattr(self._local, "held", None) is not None:
            raise StoreError("a manifest transaction is already open in this thread")
        with self._transaction("BEGIN", commit=True, faults=faults) as con:
            con.raw.execute(f"SET LOCAL lock_timeout = {_BUSY_MS:d}")
            yield con

    @contextmanager
    def _transaction(self, begin: str, *, commit: bool, faults: bool = False) -> Iterator[PgConnection]:
        with self.sessions.lend() as raw:
            raw.execute(begin.encode())
            con = PgConnection(raw, self._lock_key)
            self._local.held = con
            try:
                with translated(str(self.path)):
                    yield con
                if faults:
                    fault("before-commit")
            except BaseException:
                self._local.held = None
                self._roll_back(raw)
                raise
            self._local.held = None
            raw.execute(b"COMMIT" if commit else b"ROLLBACK")
            if faults:
                fault("after-commit")

    @staticmethod
    def _roll_back(raw: Connection) -> None:
        import psycopg

        try:
            raw.execute("ROLLBACK")
        except psycopg.Error:
            raw.close()  # the server rolls back what a vanished client left open

    def close(self) -> None:
        self.sessions.close()


def _plain(value: Any) -> Any:
    """SQLite has no booleans, and the manifest's tables none either."""
    return int(value) if isinstance(value, bool) else value


def _key(text: str) -> int:
    """A signed 64-bit key for advisory locks."""
    return int.from_bytes(xxhash.xxh3_64(text.encode()).digest(), "big", signed=True)
