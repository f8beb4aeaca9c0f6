"""What every request passes before a handler sees it: request id, key, rate, size, time; and what happens after."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bqx.base.errors import ApiKeyError, BqxError
from bqx.base.runlog import event
from bqx.serve.api.keys import ApiKey, Keys
from bqx.serve.api.limits import Buckets, Limits
from bqx.serve.api.metrics import Metrics
from bqx.serve.api.problems import Refused, refusal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
OPEN = frozenset({"/ping", "/health", "/openapi.json"})
"""Paths that need no key and tell no stranger anything about the project."""
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Gate:
    """ASGI around `app`. open_paths : need no key. routes : paths counted by name, all others together."""

    def __init__(
        self,
        app: App,
        keys: Keys,
        limits: Limits,
        metrics: Metrics,
        *,
        open_paths: frozenset[str] = OPEN,
        routes: frozenset[str] = frozenset(),
    ) -> None:
        self.app, self.keys, self.limits, self.metrics = app, keys, limits, metrics
        self.open_paths, self.routes = open_paths, routes
        self.rates, self.failures = Buckets(), Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        ident = given if _ID.fullmatch(given) else secrets.token_hex(8)
        answer = _Answer(send, ident)
        key = None
        scope["state"] = {**scope.get("state", {}), "request_id": ident, "began": began}
        try:
            if scope["path"] not in self.open_paths:
                key = self._admit(scope, headers)
            scope["state"]["key"] = key
            body = await self._body(scope, headers, receive)
            await self.app(scope, _replay(body, receive), answer)
        except Refused as refused:
            await answer.refuse(refused)
        except ConnectionError:  # the client went away: there is nobody to answer and nothing to report
            answer.status = answer.status or 499
        except Exception as error:  # noqa: BLE001 - the client gets a ticket, the log the rest
            if not answer.status:  # what a handler raised has been answered by then, by `failed` too
                await answer.refuse(*failed(error, ident))
        finally:
            took = time.perf_counter() - began
            route = scope["path"] if scope["path"] in self.routes else "other"
            self.metrics.request(route, answer.status, took)
            event(
                "serve.request", request=ident, method=scope["method"], route=route, status=answer.status,
                ms=round(1000 * took, 3), key_id=key.id if key else None, client=(scope.get("client") or [None])[0],
            )  # fmt: skip

    def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> ApiKey:
        """The key of the request; Refused 401, or 429. Wrong keys slow down only who sends them: a right one passes,
        for others may share the address."""
        address = str((scope.get("client") or [""])[0])
        kind, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        text = text.strip() if kind.lower() == "bearer" else headers.get(b"x-api-key", b"").decode("latin-1").strip()
        try:
            key = self.keys.check(text)
        except ApiKeyError as error:
            event("serve.keys_unreadable", "error", what=error.what)
            raise Refused(503, "unavailable", "keys cannot be checked now", headers={"retry-after": "5"}) from error
        if key is None:
            if wait := self.failures.take(address, self.limits.failures):
                raise _slow_down(wait, "too many wrong keys from this address")
            raise Refused(
                401, "unauthorized", "a valid API key is needed", "send `Authorization: Bearer KEY`",
                headers={"www-authenticate": "Bearer"},
            )  # fmt: skip
        if wait := self.rates.take(key.id, key.rate):
            raise _slow_down(wait, f"more than {key.rate:g} requests a second")
        return key

    def charge(self, key: ApiKey | None, more: int) -> None:
        """Count `more` predictions of a batch against the key; Refused 429."""
        if key is not None and more > 0 and (wait := self.rates.take(key.id, key.rate, more)):
            raise _slow_down(wait, f"more than {key.rate:g} predictions a second")

    async def _body(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body; Refused 413 when it is too long, said or found, 408 when it comes too slowly."""
        most = self.limits.invocation_body if scope["path"] == "/invocations" else self.limits.body
        told = headers.get(b"content-length", b"0")
        if told.isdigit() and int(told) > most:
            raise _too_large(most)
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionResetError
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise _too_large(most)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as error:
            raise _too_slow(self.limits.body_s) from error


class _Answer:
    """Sends with the headers every answer has; remembers the status."""

    def __init__(self, send: Send, ident: str) -> None:
        self._send, self._ident = send, ident
        self.status = 0

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), *_HEADERS, (b"x-request-id", self._ident.encode())]
        await self._send(message)

    async def refuse(self, refused: Refused, ticket: str | None = None) -> None:
        body = refused.body(self._ident, ticket)
        headers = [(k.encode(), v.encode()) for k, v in refused.headers.items()]
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def failed(error: Exception, ident: str) -> tuple[Refused, str]:
    """The answer to what nobody foresaw, and its ticket; the log has the error under it, redacted."""
    ticket = secrets.token_hex(4)
    event("serve.internal", "error", ticket=ticket, request=ident, what=repr(error), trace=_trace(error))
    said = refusal(error) if isinstance(error, BqxError) else None
    return said or Refused(500, "internal", "the server failed", "give the ticket to who runs the server"), ticket


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large(most: int) -> Refused:
    return Refused(413, "too_large", f"a body may have {most:,} bytes", headers={"connection": "close"})


def _too_slow(seconds: float) -> Refused:
    return Refused(408, "too_slow", f"the body was not there after {seconds:g} s", headers={"connection": "close"})


def _slow_down(wait: float, what: str) -> Refused:
    seconds = str(max(1, int(-(-wait // 1))))
    return Refused(429, "rate_limited", what, f"wait {seconds} s", headers={"retry-after": seconds})


def _trace(error: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(error))
