"""API keys: made once, shown once, kept as hashes; compared in constant time.

A key is `bqxk_ID_SECRET`. The secret has 256 bits of chance, so one SHA-256 is enough: there is nothing to guess, and a
slow hash would only let strangers spend the server's time.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bqx.base.atomic import replacing
from bqx.base.errors import ApiKeyError, UsageError
from bqx.base.redaction import register

FILE = Path("serve") / "keys.json"
FORMAT = 1
RATE = 100.0
"""Requests a second a key may make unless told."""
_KEY = re.compile(r"bqxk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. digest : SHA-256 of the whole key, hexadecimal. rate : requests a second."""

    id: str
    label: str
    digest: str
    rate: float
    made_at: str
    revoked_at: str | None = None

    def shown(self) -> dict[str, Any]:
        """Without the digest, for lists."""
        return {k: v for k, v in asdict(self).items() if k != "digest"}


class Keys:
    """Keys of a project, in `serve/keys.json` (mode 600). A file that changed is read again, so revoking takes effect
    in a running server; one that cannot be read lets nobody in."""

    def __init__(self, root: Path) -> None:
        self.path = root / FILE
        self._lock = threading.Lock()
        self._stamp: object = None
        self._keys: dict[str, ApiKey] = {}

    def list(self) -> list[ApiKey]:
        """All keys, revoked ones too, in the order they were made."""
        self._load()
        return list(self._keys.values())

    def make(self, label: str, rate: float = RATE) -> tuple[ApiKey, str]:
        """A new key and its text, which nobody can show again."""
        if not label.strip() or len(label) > 64 or not label.isprintable():
            raise UsageError(f"{label!r} is no label for a key", fix="use 1 to 64 printable characters")
        ident = secrets.token_hex(6)
        text = f"bqxk_{ident}_{secrets.token_urlsafe(32)}"
        register(text)
        made = ApiKey(ident, label, _digest(text), rate, datetime.now(UTC).isoformat(timespec="seconds"))
        with self._alone():
            self._write({**self._keys, ident: made})
        return made, text

    def revoke(self, ident: str) -> ApiKey:
        """From now on it opens nothing; ApiKeyError when there is no such key."""
        with self._alone():
            if ident not in self._keys:
                raise ApiKeyError(f"there is no key {ident!r}", where=str(self.path), fix="`bqx serve keys list`")
            found = self._keys[ident]
            if found.revoked_at is None:
                found = replace(found, revoked_at=datetime.now(UTC).isoformat(timespec="seconds"))
                self._write({**self._keys, ident: found})
        return found

    def check(self, text: str) -> ApiKey | None:
        """The key of a request, None when it opens nothing. The work is the same whether the id exists or not."""
        self._load()
        matched = _KEY.fullmatch(text)
        found = self._keys.get(matched[1]) if matched else None
        same = hmac.compare_digest(_digest(text), found.digest if found else _NOBODY)
        return found if found is not None and same and found.revoked_at is None else None

    def _load(self) -> None:
        with self._lock:
            try:
                state = self.path.stat()
            except FileNotFoundError:
                self._keys, self._stamp = {}, None
                return
            stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
            if stamp == self._stamp:
                return
            self._keys = {}
            try:
                data = json.loads(self.path.read_text("utf-8"))
                if data["format"] != FORMAT:
                    raise ValueError(f"format {data['format']}, this bqx knows {FORMAT}")
                self._keys = {k["id"]: ApiKey(**k) for k in data["keys"]}
            except (ValueError, KeyError, TypeError) as error:
                raise ApiKeyError(
                    f"the file of API keys cannot be read: {error}",
                    where=str(self.path),
                    fix="remove it and make new keys: `bqx serve keys make LABEL`",
                ) from error
            self._stamp = stamp

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The keys as they are, and nobody else changes them meanwhile."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self._stamp = None  # two changes within one tick of the file's clock look the same
            self._load()
            yield

    def _write(self, keys: dict[str, ApiKey]) -> None:
        data = {"format": FORMAT, "keys": [asdict(k) for k in keys.values()]}
        with replacing(self.path) as temp:
            temp.touch(mode=0o600)
            temp.write_text(json.dumps(data, indent=1), "utf-8")
        self._stamp = None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
