"""Sessions of a migration, and what the server's refusals mean for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bqx.base.errors import BqxError, MigrationBroken, MigrationConflict, MigrationDenied, MigrationLocked
from bqx.base.secret import Secret
from bqx.store.pg import connect as pg

if TYPE_CHECKING:
    import psycopg

NAME = "bqx migrate"
LIMITS = pg.Limits(lock=30.0, statement=0.0, idle=0.0)
"""Of sessions that look and count; the renaming transaction sets its own."""


def connect(dsn: Secret | str) -> psycopg.Connection[tuple[Any, ...]]:
    """An autocommit session, as `bqx.store.pg` makes them: checked TLS, UTC, an empty search path.

    What it commits is on disk: a ledger that forgets on a crash would be none, whatever the server's default. Where
    row-level security would hide rows from it, a count is an error, not a smaller number.
    """
    con = pg.connect(dsn, application=NAME, limits=LIMITS)
    con.execute("SELECT set_config('synchronous_commit', 'on', false), set_config('row_security', 'off', false)")
    return con


@contextmanager
def told(where: str) -> Iterator[None]:
    """Server errors as a migration's, with `where` they happened; by SQLSTATE, not by words."""
    driver = pg.psycopg_module()
    try:
        yield
    except BqxError:
        raise
    except driver.Error as error:
        raise _meaning(error, where) from error


def _meaning(error: Any, where: str) -> BqxError:
    state = str(error.sqlstate or "")
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if state in ("55P03", "40P01"):
        return MigrationLocked(said, where=where, fix="see who holds it, then run it again")
    if state == "53200":
        return MigrationLocked(
            f"the server's lock table is full: {said}",
            where=where,
            fix="--mode batched, or a larger max_locks_per_transaction and a restart; nothing was renamed",
        )
    if state in ("42P07", "42710"):
        return MigrationConflict(said, where=where, fix="plan again: all of this transaction was rolled back")
    if not state or state.startswith(("08", "57P", "58")):
        return MigrationBroken(
            f"the connection was lost: {said}",
            where=where,
            fix="`bqx migrate status` tells what holds; the same command goes on",
        )
    return MigrationDenied(said, where=where, fix="all of this transaction was rolled back")
