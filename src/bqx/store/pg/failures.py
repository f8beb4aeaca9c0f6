"""What the server's errors mean for whoever runs bqx: by SQLSTATE, never by the words of a message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bqx.base.errors import BqxError, DiskError, RoleError, ServerError, StoreError, TablesError

_LOST = ("08", "57P0", "53300", "58")
"""Connection exceptions, shutdowns, too many connections, errors of the server's own machine."""


@contextmanager
def translated(where: str | None = None) -> Iterator[None]:
    """Turn psycopg's errors into ours: lost connections ServerError, rights RoleError, full disks DiskError,
    missing tables or columns TablesError, all else StoreError."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _meaning(error, where) from error


def _meaning(error: Any, where: str | None) -> BqxError:
    import psycopg

    state = str(getattr(error, "sqlstate", None) or "")
    said = _first_line(error)
    if state == "53100":
        return DiskError(
            f"the server's disk is full: {said}", where=where, fix="free space there; then run the same command again"
        )
    if state == "53200":
        return ServerError(
            f"the server is out of memory: {said}", where=where, fix="raise max_locks_per_transaction, or its memory"
        )
    if state in ("42501", "28000", "28P01", "0LP01"):
        return RoleError(f"the server refuses it: {said}", where=where)
    if state in ("42P01", "42703", "3F000", "42883"):
        return TablesError(f"the server lacks what this needs: {said}", where=where)
    if state == "3D000":
        return ServerError(said, where=where, fix="make the database, or correct dbname in the DSN")
    if state in ("55P03", "57014", "40001", "40P01"):
        return StoreError(
            f"somebody else holds what this needs: {said}", where=where, fix="nothing was changed; run it again"
        )
    if state.startswith(_LOST) or (not state and isinstance(error, psycopg.OperationalError)):
        return ServerError(f"no connection to the server: {said}", where=where)
    return StoreError(said, where=where)


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
