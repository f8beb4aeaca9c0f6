"""Connections for migrations: named, in UTC, and with the errors people can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bqx.base.errors import BqxError, MigrationBroken, MigrationConflict, MigrationDenied, MigrationLocked, Unsupported

if TYPE_CHECKING:
    import psycopg

NAME = "bqx migrate"


def connect(dsn: str) -> psycopg.Connection[Any]:
    """An autocommit session; MigrationBroken when the server does not answer, Unsupported without psycopg."""
    try:
        import psycopg
    except ImportError as error:
        raise Unsupported("psycopg is not installed", fix="pip install 'bqx[postgres]'") from error
    try:
        con = psycopg.connect(dsn, autocommit=True, application_name=NAME, options="-c timezone=UTC")
    except psycopg.OperationalError as error:
        raise MigrationBroken(
            f"no connection: {str(error).strip().splitlines()[0]}", fix="is the server up, and the DSN right?"
        ) from error
    if con.info.server_version < 130000:
        con.close()
        raise Unsupported(
            f"PostgreSQL {con.info.server_version // 10000} is too old", fix="13 or later: renames of partitions"
        )
    return con


@contextmanager
def told(where: str) -> Iterator[None]:
    """Server errors as ours, with `where` they happened."""
    import psycopg
    from psycopg import errors as pg

    try:
        yield
    except BqxError:
        raise
    except (pg.LockNotAvailable, pg.DeadlockDetected) as error:
        raise MigrationLocked(_words(error), where=where, fix="see who holds it, then run it again") from error
    except pg.OutOfMemory as error:
        raise MigrationLocked(
            f"the server's lock table is full: {_words(error)}",
            where=where,
            fix="--mode batched, or a larger max_locks_per_transaction and a restart; nothing was renamed",
        ) from error
    except (pg.DuplicateTable, pg.DuplicateObject) as error:
        raise MigrationConflict(_words(error), where=where, fix="plan again: all was rolled back") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise MigrationBroken(
            f"the connection was lost: {_words(error)}",
            where=where,
            fix="`bqx migrate status` tells what holds; the same command goes on",
        ) from error
    except psycopg.Error as error:
        raise MigrationDenied(_words(error), where=where, fix="all of this transaction was rolled back") from error


def _words(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
