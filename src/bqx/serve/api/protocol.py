"""uvicorn's HTTP/1.1 with what it lacks against slow clients: a time for the headers, and bounds on connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from bqx.serve.api.limits import Limits

_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"


def timed_protocol(limits: Limits) -> type[H11Protocol]:
    """The protocol class of one server.

    The whole head of a request must be there within `limits.header_s`, however many bytes drip in. A client that does
    not read what it asked for is cut off after `limits.send_s`. A connection beyond `limits.connections`, or beyond
    `limits.per_client` of one address, is closed at once.
    """
    clients: Counter[str] = Counter()

    class TimedProtocol(H11Protocol):
        _timer: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None
        _counted: str | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            address = self.client[0] if self.client else ""
            clients[address] += 1
            self._counted = address
            if len(self.connections) > limits.connections or clients[address] > limits.per_client:
                self._end(_FULL)
                return
            self._arm()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def on_response_complete(self) -> None:
            super().on_response_complete()  # arms the keep-alive timer, or begins a request that waited in the pipe
            self._disarm()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self._unread or self.loop.call_later(limits.send_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._read()

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._end()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            self._read()
            if self._counted is not None:
                clients[self._counted] -= 1
                if clients[self._counted] <= 0:
                    del clients[self._counted]
                self._counted = None
            super().connection_lost(exc)

        def _look(self) -> None:
            """The timer runs while a head has begun and is not complete."""
            if self.cycle is None or self.cycle.response_complete:
                self._arm()
            else:
                self._disarm()

        def _arm(self) -> None:
            if self._timer is None and not self.transport.is_closing():
                self._timer = self.loop.call_later(limits.header_s, self._late)

        def _disarm(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _late(self) -> None:
            self._timer = None
            if not self.transport.is_closing():
                self._end(_LATE)

        def _end(self, last: bytes = b"") -> None:
            """Close; `close` alone would wait for ever for a client that does not read."""
            if last:
                self.transport.write(last)
            self.transport.close()
            self._unread = self._unread or self.loop.call_later(limits.send_s, self.transport.abort)

        def _read(self) -> None:
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None

        def _should_upgrade(self) -> bool:
            return False  # no websockets: an upgrade is answered as the plain request it is

    return TimedProtocol


def config_arguments(limits: Limits) -> dict[str, Any]:
    """What uvicorn is told beside application and address."""
    return {
        "http": timed_protocol(limits),
        "ws": "none",
        "loop": "asyncio",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": int(limits.idle_s),
        "timeout_graceful_shutdown": 10,
        "h11_max_incomplete_event_size": 16 << 10,
    }
