"""One coordinator a project: a lease row with a heartbeat, so that the second run can say who holds it."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bqx.base.errors import LeaseError, ServerError, StoreError
from bqx.store.known import known_text, now_us
from bqx.store.manifest import Manifest

NAME = "build"
BEAT_SECONDS = 10.0
STALE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lease. born : kernel ticks at the process's start; started, heartbeat : microseconds UTC."""

    born: str
    pid: int
    host: str
    started: int
    heartbeat: int
    run_id: str

    def __str__(self) -> str:
        return f"run {self.run_id} (process {self.pid} on {self.host}, since {known_text(self.started)})"


def born(pid: int) -> str:
    """When a process of this host began, so that a pid used again is told apart; "" where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def is_gone(found: Holder, *, stale_after: float = STALE_SECONDS) -> bool:
    """A killed holder on this host is seen at once; one elsewhere after `stale_after` seconds without a heartbeat."""
    if found.host != socket.gethostname():
        return (now_us() - found.heartbeat) / 1e6 > stale_after
    try:
        os.kill(found.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # alive, another user's
    return born(found.pid) != found.born


class Lease:
    """Context manager; raises LeaseError when another live run holds the project.

    >>> with Lease(manifest, "run-1") as lease:   # doctest: +SKIP
    ...     lease.check()                         # before every commit: still ours?
    """

    def __init__(self, manifest: Manifest, run_id: str, *, stale_after: float = STALE_SECONDS) -> None:
        self._manifest, self._stale_after = manifest, stale_after
        pid, now = os.getpid(), now_us()
        self._me = Holder(born(pid), pid, socket.gethostname(), now, now, run_id)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="bqx-lease", daemon=True)

    def __enter__(self) -> Lease:
        me = self._me
        with self._manifest.transaction() as con:
            found = _read(con)
            if found is not None and not is_gone(found, stale_after=self._stale_after):
                raise LeaseError(
                    f"another run builds this project: {found}",
                    where=str(self._manifest.path),
                    fix="wait for it or stop it; a holder that was killed is taken over by itself",
                )
            values = (NAME, me.born, me.pid, me.host, me.started, me.heartbeat, me.run_id)
            con.execute("INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        with self._manifest.transaction() as con:
            con.execute(_RELEASE, self._key())

    def check(self) -> None:
        """Raise LeaseError if another run has taken the lease over (this host slept, or its clock jumped)."""
        with self._manifest.connection() as con:
            found = _read(con)
        if found is None or (found.born, found.pid, found.host, found.started) != self._key()[1:]:
            raise LeaseError(f"the lease was lost; it is now held by {found or 'nobody'}", fix="run the build again")

    def _key(self) -> tuple[str, str, int, str, int]:
        return (NAME, self._me.born, self._me.pid, self._me.host, self._me.started)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            # a busy database costs one beat, not the run: the next one comes long before the lease is stale
            with (
                contextlib.suppress(sqlite3.OperationalError, ServerError, StoreError),
                self._manifest.transaction() as con,
            ):
                con.execute(_BEAT, (now_us(), *self._key()))


_RELEASE = "DELETE FROM lease WHERE name = ? AND holder = ? AND pid = ? AND host = ? AND started = ?"
_BEAT = "UPDATE lease SET heartbeat = ? WHERE name = ? AND holder = ? AND pid = ? AND host = ? AND started = ?"


def holder(manifest: Manifest) -> Holder | None:
    """The live holder of the project, if any."""
    with manifest.connection() as con:
        found = _read(con)
    return None if found is None or is_gone(found) else found


def _read(con: sqlite3.Connection) -> Holder | None:
    sql = "SELECT holder, pid, host, started, heartbeat, run_id FROM lease WHERE name = ?"
    row = con.execute(sql, (NAME,)).fetchone()
    return Holder(*row) if row else None
