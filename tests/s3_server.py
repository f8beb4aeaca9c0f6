"""A real S3 server over HTTP (moto's), and a relay before it that plants errors, slow-downs, cut connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

BUCKET = "fx-lake"
PART = 5 << 20
Fault = Callable[[str, str, int], str | None]
"""(method, path with query, number of the request) -> what goes wrong, see `Proxy`; None lets it pass."""
CODES = {"503": (503, "SlowDown"), "500": (500, "InternalError"), "expired": (400, "ExpiredToken")}


def keys() -> str:
    """The credentials as a secrets provider gives them; any will do for moto."""
    return json.dumps({"access_key_id": "AK" + "TEST", "secret_access_key": "sk" * 8})


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class S3Server:
    """`with S3Server() as s: ... s.endpoint`; a bucket :data:`BUCKET` is there. prefix : command it is started with."""

    def __init__(self, host: str = "127.0.0.1", prefix: Sequence[str] = ()) -> None:
        self.host, self.port = host, free_port()
        self.endpoint = f"http://{host}:{self.port}"
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "moto.server", "-H", host, "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto"},
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                self.call("PUT", f"/{BUCKET}")
                break
            except OSError:
                assert time.monotonic() < deadline and self._process.poll() is None, "moto did not start"
                time.sleep(0.1)

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """A request of one's own; moto wants to know who, and asks for no signature."""
        who = "AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        con = http.client.HTTPConnection(self.host, self.port, timeout=10)
        con.request(method, path, body, {"Authorization": who, **headers})
        answer = con.getresponse()
        return answer.status, answer.read()

    def empty(self) -> None:
        """Forget all objects and uploads."""
        assert self.call("POST", "/moto-api/reset")[0] == 200
        self.call("PUT", f"/{BUCKET}")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> S3Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class Proxy(ThreadingHTTPServer):
    """Relays to a server what `fault` lets pass. seen : methods and paths that came.

    503: SlowDown. 500: an error. expired: the key is. cut: the connection ends before the request is passed on.
    lost: it is done, but the answer does not come. torn: half of the answer comes. flip: a byte of it is another.
    """

    daemon_threads = True

    def __init__(self, server: S3Server, fault: Fault = lambda *_: None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server, self.fault, self.seen = server, fault, list[tuple[str, str]]()
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that we cut off is no news."""

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path))
        kind = self.server.fault(self.command, self.path, len(self.server.seen))
        if kind == "cut":
            return self._hang_up()
        if kind in CODES:
            status, code = CODES[kind]
            return self._answer(status, {}, f"<Error><Code>{code}</Code><Message>planted</Message></Error>".encode())
        behind = self.server.server
        con = http.client.HTTPConnection(behind.host, behind.port, timeout=60)
        con.request(self.command, self.path, body, dict(self.headers))
        answer = con.getresponse()
        data = answer.read()
        if kind == "lost":
            return self._hang_up()
        if kind == "flip" and data:
            data = bytes([data[0] ^ 1]) + data[1:]
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding")}
        return self._answer(answer.status, headers, data, torn=kind == "torn")

    def _answer(self, status: int, headers: dict[str, str], data: bytes, torn: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if torn else data)
        if torn:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _relay

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def secret_folder(folder: Path, **secrets: str) -> Path:
    """A folder for the file provider, one file a secret."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, value in secrets.items():
        path = folder / name.replace("_", "-")
        path.write_text(value)
        path.chmod(0o600)
    return folder
