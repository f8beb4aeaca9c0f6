"""The HTTP side: tokens and scopes, 5 requests a second and base, and faults on demand."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from benchmarks.airtable.base import Base, RefusedError

RATE, PER_S, PENALTY_S = 5, 1.0, 30.0
SCOPES = frozenset({"data.records:read", "data.records:write", "schema.bases:read"})
Fault = str
""""", "429", "500", "502", "503", "cut" (no answer, not done), "cut-after" (done, no answer), "late" (done, answered
when nobody waits any more), "slow" (done, answered in time), "401" or "403"."""


@dataclass
class Token:
    """What a token may; `oauth` ones see their scopes at whoami, personal ones do not."""

    bases: set[str]
    scopes: frozenset[str] = SCOPES
    oauth: bool = False


@dataclass
class Site:
    """A base as it is served. fault : asked before each request of the base, with method and number; arrivals : times
    of requests; exceeded : how often the client passed the limit by itself."""

    base: Base
    fault: Callable[[str, int], Fault] = lambda method, number: ""
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=RATE))
    requests: int = 0
    handled: int = 0
    exceeded: int = 0
    closed_until: float = float("-inf")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what these tests are about; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class FakeAirtable:
    """Context manager; `url` is its endpoint. `clock` gives seconds, so that limits can run on a test's time.

    late_s, slow_s : real seconds that "late" and "slow" answers take.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, late_s: float = 0.3, slow_s: float = 0.02
    ) -> None:
        self.clock, self.late_s, self.slow_s = clock, late_s, slow_s
        self.sites: dict[str, Site] = {}
        self.tokens: dict[str, Token] = {}
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeAirtable:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, base: Base, token: str, **more: Any) -> Site:
        """Add a base that `token` reaches."""
        self.tokens.setdefault(token, Token(set())).bases.add(base.id)
        self.sites[base.id] = Site(base, **more)
        return self.sites[base.id]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeAirtable
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def _serve(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        parts = [unquote(p) for p in urlsplit(self.path).path.split("/") if p]
        site = self.fake.sites.get(next((p for p in parts if p in self.fake.sites), ""))
        try:
            self._handle(method, parts, site, body)
        finally:
            if site is not None:
                site.handled += 1

    def _handle(self, method: str, parts: list[str], site: Site | None, body: dict[str, Any]) -> None:
        fault = ""
        try:
            token = self._token()
            if site is not None:
                fault = self._admit(site, method)
            if fault == "cut":
                self._cut()
                return
            if fault in ("401", "403", "500", "502", "503"):
                raise RefusedError(int(fault), {"401": "AUTHENTICATION_REQUIRED"}.get(fault, "SERVER_ERROR"), "")
            answer = self._answer(token, method, parts, site, body)
        except RefusedError as refused:
            self._send(refused.status, {"error": {"type": refused.kind, "message": refused.message}})
            return
        if fault == "cut-after":
            self._cut()
            return
        time.sleep({"late": self.fake.late_s, "slow": self.fake.slow_s}.get(fault, 0.0))
        self._send(200, answer)

    def _token(self) -> Token:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or value not in self.fake.tokens:
            raise RefusedError(401, "AUTHENTICATION_REQUIRED", "Authentication required")
        return self.fake.tokens[value]

    def _admit(self, site: Site, method: str) -> Fault:
        """The limit of the base, then its fault. A request while it is closed closes it anew."""
        with site.base.lock:
            now = self.fake.clock()
            site.requests += 1
            full = len(site.arrivals) == RATE and now - site.arrivals[0] < PER_S
            site.arrivals.append(now)
            if full or now < site.closed_until:
                site.exceeded += full
                fault = "429"
            else:
                fault = site.fault(method, site.requests)
            if fault == "429":
                site.closed_until = now + PENALTY_S
                raise RefusedError(429, "RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later")
        return fault

    def _answer(self, token: Token, method: str, parts: list[str], site: Site | None, body: dict[str, Any]) -> Any:
        if parts == ["v0", "meta", "whoami"]:
            return {"id": "usr" + "U1" * 7, **({"scopes": sorted(token.scopes)} if token.oauth else {})}
        denied = RefusedError(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "Check that your token has permissions")
        if parts == ["v0", "meta", "bases"]:
            self._need(token, "schema.bases:read", denied)
            bases = [self.fake.sites[b].base for b in sorted(token.bases)]
            return {"bases": [{"id": b.id, "name": "Plan", "permissionLevel": b.permission} for b in bases]}
        if site is None or site.base.id not in token.bases:
            raise denied
        with site.base.lock:
            if parts[1:2] == ["meta"]:
                self._need(token, "schema.bases:read", denied)
                return site.base.schema()
            table = site.base.table(parts[2])
            if method == "PATCH":
                self._need(token, "data.records:write", denied)
                if site.base.permission not in ("edit", "create"):
                    raise denied
                return table.patch(body)
            self._need(token, "data.records:read", denied)
            return table.page(self._query(method, parts, body))

    def _query(self, method: str, parts: list[str], body: dict[str, Any]) -> dict[str, Any]:
        if method == "POST":
            if parts[3:] != ["listRecords"]:
                raise RefusedError(404, "NOT_FOUND", "")
            return body
        raw = parse_qs(urlsplit(self.path).query)
        query: dict[str, Any] = {k: v[0] for k, v in raw.items() if not k.endswith("[]")}
        return {**query, **({"fields": raw["fields[]"]} if "fields[]" in raw else {})}

    @staticmethod
    def _need(token: Token, scope: str, denied: RefusedError) -> None:
        if scope not in token.scopes:
            raise denied

    def _send(self, status: int, data: Any) -> None:
        payload = json.dumps(data).encode() if status < 500 else b"<html>Bad day</html>"
        with contextlib.suppress(OSError):  # a client that did not wait for a late answer
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if status < 500 else "text/html")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
