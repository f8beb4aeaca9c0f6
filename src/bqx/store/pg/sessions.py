"""Connections of one process to one database: lent to one user at a time, replaced when the server has gone."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bqx.base.errors import ServerError
from bqx.base.secret import Secret
from bqx.store.pg.connect import Limits, connect
from bqx.store.pg.failures import translated

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

WAIT_SECONDS = 60.0
"""How long a server that has gone may take to come back; a restart with crash recovery fits in."""


class Sessions:
    """`dsn` is asked anew for every connection, so that a rotated password is found.

    wait : seconds to go on trying to connect; 0 tries once. away : the last attempt gave up. search_path : schema of
    unqualified names, see `connect`.
    """

    def __init__(
        self,
        dsn: Callable[[], Secret | str],
        *,
        search_path: str = "",
        wait: float = WAIT_SECONDS,
        limits: Limits | None = None,
    ) -> None:
        self.search_path, self.wait, self.limits = search_path, wait, limits
        self.dsn = dsn
        self._idle: list[Connection] = []
        self._pid = os.getpid()
        self._guard = threading.Lock()
        self._met = False
        self.away = False

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """A connection outside any transaction; closed instead of kept when it comes back broken or inside one."""
        con = self._take()
        try:
            with translated(self.where):
                yield con
        finally:
            self._give(con)

    @property
    def where(self) -> str:
        return "the PostgreSQL server"

    def _take(self) -> Connection:
        with self._guard:
            if self._pid != os.getpid():  # a fork must not speak over its parent's sockets
                self._idle, self._pid = [], os.getpid()
            while self._idle:
                con = self._idle.pop()
                if _alive(con):
                    return con
                _close(con)
        return self._open()

    def _open(self) -> Connection:
        """Connect; after the first success go on trying for `wait` seconds while the server is away."""
        give_up, pause = time.monotonic() + (self.wait if self._met else 0.0), 0.05
        while True:
            try:
                con = connect(self.dsn(), search_path=self.search_path, limits=self.limits)
            except ServerError:
                if time.monotonic() + pause > give_up:
                    self.away = True
                    raise
                time.sleep(pause)
                pause = min(pause * 2, 2.0)
            else:
                self._met, self.away = True, False
                return con

    def _give(self, con: Connection) -> None:
        from psycopg.pq import TransactionStatus

        if con.closed or con.info.transaction_status != TransactionStatus.IDLE:
            _close(con)
            return
        with self._guard:
            self._idle.append(con)

    def close(self) -> None:
        """Close what nobody uses."""
        with self._guard:
            for con in self._idle:
                _close(con)
            self._idle.clear()


def _alive(con: Connection) -> bool:
    """Whether the server still answers; a round trip, for a dead socket looks like a living one until then."""
    import psycopg

    if con.closed:
        return False
    try:
        con.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _close(con: Connection) -> None:
    with contextlib.suppress(Exception):
        con.close()
