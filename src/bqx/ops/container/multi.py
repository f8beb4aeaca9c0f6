"""The multi-model contract in front of /invocations: models are loaded, listed, invoked and unloaded by name."""

from __future__ import annotations

import json
import re
from typing import Any

import anyio.to_thread

from bqx.base.errors import BqxError
from bqx.base.redaction import redact
from bqx.base.runlog import event
from bqx.ops.container.resident import LoadedModels
from bqx.serve.api.gate import App, Receive, Scope, Send
from bqx.serve.api.invocations import TARGET

_NAME = re.compile(r"[A-Za-z0-9._-]{1,256}")
MOST_BODY = 64 << 10


class MultiModel:
    """ASGI around the container's application.

    POST /models {model_name, url}: 200, 409 when loaded already, 400 when it is refused. GET /models, GET and DELETE
    /models/NAME, POST /models/NAME/invoke. /ping is 200 also while nothing is loaded. Nothing is ever evicted here.
    """

    def __init__(self, app: App, models: LoadedModels) -> None:
        self.app, self.models = app, models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", "")).rstrip("/")
        if scope["type"] != "http" or not (path == "/ping" or path == "/models" or path.startswith("/models/")):
            await self.app(scope, receive, send)
            return
        if path.endswith("/invoke") and scope["method"] == "POST":
            name = path.removeprefix("/models/").removesuffix("/invoke")
            if name not in self.models.urls:
                await _answer(send, 404, {"error": "not loaded"})
                return
            headers = [(k, v) for k, v in scope["headers"] if k.lower() != TARGET.encode()]
            headers.append((TARGET.encode(), name.encode()))
            await self.app({**scope, "path": "/invocations", "raw_path": b"/invocations", "headers": headers}, receive,
                           send)  # fmt: skip
            return
        await _answer(send, *await self._manage(path, scope["method"], receive))

    async def _manage(self, path: str, method: str, receive: Receive) -> tuple[int, Any]:
        name = path.removeprefix("/models").lstrip("/")
        match method, bool(name), path:
            case _, _, "/ping":
                return (200, {}) if method == "GET" else (405, {"error": "no such method"})
            case "GET", False, _:
                return 200, {"models": [_row(n, u) for n, u in sorted(self.models.urls.items())]}
            case "POST", False, _:
                return await self._load(receive)
            case (("GET" | "DELETE"), True, _):
                if name not in self.models.urls:
                    return 404, {"error": "not loaded"}
                if method == "GET":
                    return 200, _row(name, self.models.urls[name])
                self.models.remove(name)
                event("container.unloaded", model=name)
                return 200, {}
        return 405, {"error": "no such method"}

    async def _load(self, receive: Receive) -> tuple[int, Any]:
        try:
            asked = json.loads(await _body(receive))
            name, url = asked["model_name"], asked["url"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return 400, {"error": "send {model_name, url}"}
        if not (isinstance(name, str) and isinstance(url, str) and _NAME.fullmatch(name)):
            return 400, {"error": "model_name is not usable"}
        if name in self.models.urls:
            return 409, {"error": "loaded already"}
        try:
            await anyio.to_thread.run_sync(self.models.add, name, url)
        except BqxError as error:
            event("container.refused", "error", model=name, what=str(error))
            return 400, {"error": redact(f"{error.code} {error.what}")}
        event("container.loaded", model=name)
        return 200, {}


def _row(name: str, url: str) -> dict[str, str]:
    return {"modelName": name, "modelUrl": url}


async def _body(receive: Receive) -> bytes:
    """ValueError beyond MOST_BODY."""
    out = b""
    while True:
        message = await receive()
        out += bytes(message.get("body", b""))
        if len(out) > MOST_BODY:
            raise ValueError("too large")
        if not message.get("more_body"):
            return out


async def _answer(send: Send, status: int, data: Any) -> None:
    body = json.dumps(data).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
