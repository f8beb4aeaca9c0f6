"""A prediction server: a socket, uvicorn, and the thread that keeps answers ready."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import ServeError
from bqx.base.runlog import event
from bqx.serve.api.app import Service, make_app
from bqx.serve.api.protocol import config_arguments
from bqx.serve.api.refresher import Refresher

if TYPE_CHECKING:
    from bqx.serve.api.gate import App
    from bqx.serve.api.live_thread import LiveThread

LOOPBACK = "127.0.0.1"


class ApiServer:
    """Serves until closed; `url` says where. Port 0 takes a free one.

    root : the project, where the state for the console goes. tls : certificate and key files. live : takes bars
    beside it, and ends with it. wrap : goes around application and gate.
    """

    def __init__(
        self, service: Service, root: Path, *, host: str = LOOPBACK, port: int = 0, tls: tuple[str, str] | None = None,
        live: LiveThread | None = None, wrap: Callable[[App], App] = lambda app: app,
    ) -> None:  # fmt: skip
        import uvicorn

        self.service = service
        self.refresher = Refresher(service.predictor, root)
        self.live = live
        if live is not None:
            self.refresher.checks["live"] = live.check
        self._socket = _listen(host, port)
        number = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{number}/"
        self.refresher.url = self.url
        files: dict[str, Any] = {"ssl_certfile": tls[0], "ssl_keyfile": tls[1]} if tls else {}
        arguments = config_arguments(service.limits)
        self._server = uvicorn.Server(uvicorn.Config(wrap(make_app(service)), lifespan="off", **arguments, **files))
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Until SIGTERM or SIGINT, or :meth:`close` from another thread; requests that have begun are finished."""
        if self.live is not None:
            self.live.start()
        self.refresher.start()
        event("serve.start", url=self.url, models=len(self.service.predictor.models.all()))
        try:
            with _gently():
                self._server.run(sockets=[self._socket])
        finally:
            self.refresher.close()
            if self.live is not None:
                self.live.close()
            self._socket.close()
            event("serve.end", url=self.url)

    def start(self) -> ApiServer:
        """Serve from a thread; returns when it answers."""
        self._thread = threading.Thread(target=self.serve, name="bqx-serve", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise ServeError("the server ended before it began; the log says why")
            time.sleep(0.01)
        return self

    def close(self) -> None:
        """End it; requests that have begun are finished."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=30)


@contextmanager
def _gently() -> Iterator[None]:
    """uvicorn raises the signal that ended it once more when it has shut down; this end has more to do than die."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {s: signal.signal(s, lambda number, frame: None) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio sets TCP_NODELAY only when it is told TCP
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(1024)
    except OSError as error:
        found.close()
        raise ServeError(
            f"cannot listen on {host} port {port}: {error.strerror}", fix="give another --port, 0 for a free one"
        ) from error
    return found
