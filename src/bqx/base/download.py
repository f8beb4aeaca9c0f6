"""Files over HTTP, politely: a rate limit, retries with back-off, bounds on size and time, nothing half-read."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bqx.base.errors import BqxError, FetchError, UsageError
from bqx.base.version import __version__

ABSENT = (404, 410)
AGAIN = (408, 425, 429, 500, 502, 503, 504)
LONGEST_WAIT = 300.0
_CHUNK = 1 << 16


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS, proxies of the environment, redirects; no file: or ftp:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", f"bqx/{__version__}")]
    return opener


class _Again(Exception):  # noqa: N818 - not an error yet
    """Worth another try; wait: seconds the server asks for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(slots=True)
class Downloader:
    """One request at a time below `base_url`.

    rate: requests a second at most. retries: further tries after the first. timeout: seconds a file may take in all.
    max_bytes: largest body. backoff: seconds before the second try, doubled each time, at most LONGEST_WAIT.
    """

    base_url: str
    rate: float = 2.0
    retries: int = 5
    timeout: float = 30.0
    max_bytes: int = 1 << 20
    backoff: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    retried: int = 0
    _next: float = 0.0
    _opener: urllib.request.OpenerDirector = field(default_factory=_opener)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{self.base_url!r} is not an http or https address", fix="give it as https://host/path")
        if self.rate <= 0 or self.timeout <= 0 or self.retries < 0:
            raise UsageError("rate and timeout must be above 0, retries at least 0")

    def get(self, path: str, check: Callable[[bytes], object]) -> bytes | None:
        """Body of `{base_url}/{path}`, None when the server has no such file.

        check : raises BqxError for a body that is not what it should be; that is tried again like a server error.
        Raises FetchError when no try succeeds, or at once when the server refuses.
        """
        for attempt in range(self.retries + 1):
            self._pace()
            try:
                return self._once(path, check)
            except _Again as again:
                if attempt == self.retries:
                    raise FetchError(
                        f"{again}, after {attempt + 1} tries", where=path, fix="run the same command again later"
                    ) from again
                self.retried += 1
                wait = again.wait if again.wait is not None else self.backoff * 2**attempt
                self.sleep(min(wait, LONGEST_WAIT))
        raise AssertionError("unreachable: the last try returns or raises")

    def _pace(self) -> None:
        now = time.monotonic()
        if now < self._next:
            self.sleep(self._next - now)
        self._next = max(now, self._next) + 1.0 / self.rate

    def _once(self, path: str, check: Callable[[bytes], object]) -> bytes | None:
        url = f"{self.base_url.rstrip('/')}/{path}"
        try:
            with self._opener.open(url, timeout=self.timeout) as response:
                body = self._body(response, path)
        except urllib.error.HTTPError as error:
            with error:
                self._status(error, path)
            return None
        except (OSError, http.client.HTTPException) as error:  # URLError, timeouts and resets are OSErrors
            raise _Again(f"{type(error).__name__}: {error}") from error
        try:
            check(body)
        except BqxError as error:
            raise _Again(f"wrong content: {error.what}") from error
        return body

    def _status(self, error: urllib.error.HTTPError, path: str) -> None:
        if error.code in ABSENT:
            return
        reason = f"HTTP {error.code} {error.reason}"
        if error.code in AGAIN:
            asked = error.headers.get("Retry-After", "")
            raise _Again(reason, float(asked) if asked.isdigit() else None) from error
        raise FetchError(reason, where=path, fix="check --base-url, and whether the server lets you in") from error

    def _body(self, response: http.client.HTTPResponse, path: str) -> bytes:
        stated = response.headers.get("Content-Length", "")
        end = time.monotonic() + self.timeout
        body = bytearray()
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > self.max_bytes:
                raise FetchError(f"is larger than {self.max_bytes:,} bytes", where=path, fix="check --base-url")
            if time.monotonic() > end:
                raise _Again(f"slower than {self.timeout:g} seconds ({len(body):,} bytes so far)")
        if stated.isdigit() and len(body) != int(stated):
            raise _Again(f"cut off: {len(body):,} of {stated} bytes")
        return bytes(body)
