"""A small HTTP server on loopback: pages, their style and script, and reports; it can only be read."""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from bqx.base.errors import BqxError, ConsoleError
from bqx.base.redaction import redact
from bqx.base.runlog import event
from bqx.ops.console.pages import FOLDER, Pages

if TYPE_CHECKING:
    from bqx.build.project import Project

LOOPBACK = "127.0.0.1"
_ASSETS = {"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8"}
_REPORTS = {".html": "text/html; charset=utf-8", ".md": "text/plain; charset=utf-8", ".json": "application/json"}
_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_REPORT_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'"


class Console:
    """Serves a project until closed; `url` says where. Port 0 takes a free one."""

    def __init__(self, project: Project, port: int = 0) -> None:
        pages = Pages(project)
        _ = project.catalogue  # takes seconds once, better now than on the first page

        class Handler(_Handler):
            def __init__(self, *args: Any) -> None:
                self.pages, self.root = pages, project.root
                super().__init__(*args)

        try:
            self._server = ThreadingHTTPServer((LOOPBACK, port), Handler)
        except OSError as error:
            raise ConsoleError(
                f"port {port} is taken: {error.strerror}", fix="give another --port, 0 for a free one"
            ) from error
        self._server.daemon_threads = True
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}/"

    def serve(self) -> None:
        """Until :meth:`close` or an interrupt."""
        self._server.serve_forever(poll_interval=0.2)

    def start(self) -> Console:
        """Serve from a thread."""
        threading.Thread(target=self.serve, name="bqx-console", daemon=True).start()
        return self

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    pages: Pages
    root: Path
    server_version, sys_version = "bqx", ""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, "the console can only be read\n", "text/plain; charset=utf-8")

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _refuse  # noqa: N815 - names of the library

    def _answer(self) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in (LOOPBACK, "localhost"):  # a page elsewhere whose name was pointed at this machine
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "ask for 127.0.0.1 or localhost\n", "text/plain; charset=utf-8")
            return
        parts = urlsplit(self.path)
        path = unquote(parts.path).strip("/") or "board"
        try:
            if path in _ASSETS:
                self._send(HTTPStatus.OK, (FOLDER / path).read_text(encoding="utf-8"), _ASSETS[path])
            elif path.startswith("reports/"):
                self._report(path)
            elif (text := self.pages.render(path, dict(parse_qsl(parts.query)))) is not None:
                self._send(HTTPStatus.OK, text)
            else:
                self._problem(HTTPStatus.NOT_FOUND, "there is no such page", path)
        except BqxError as error:
            self._problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error), path)
        except Exception as error:  # noqa: BLE001 - the page says so, the log has the rest
            event("console.failed", level="error", path=path, what=repr(error))
            self._problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}", path)

    def _report(self, path: str) -> None:
        """A file of the project's `reports` folder, and of nowhere else."""
        folder = (self.root / "reports").resolve()
        target = (self.root / path).resolve()
        if not target.is_relative_to(folder) or target.suffix not in _REPORTS or not target.is_file():
            self._problem(HTTPStatus.NOT_FOUND, "there is no such report", path)
            return
        self._send(HTTPStatus.OK, target.read_text(encoding="utf-8"), _REPORTS[target.suffix], _REPORT_CSP)

    def _problem(self, status: HTTPStatus, what: str, path: str) -> None:
        self._send(status, self.pages.page("problem", "", {"what": what, "path": path[:200], "status": int(status)}))

    def _send(self, status: HTTPStatus, text: str, kind: str = "text/html; charset=utf-8", csp: str = _CSP) -> None:
        body = text.encode("utf-8")
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", csp),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        event("console.request", level="debug", line=redact(format % args))
