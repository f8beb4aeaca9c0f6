"""Where secrets come from: the protocol, and the short-lived cache all providers share."""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from bqx.base.errors import SecretError
from bqx.base.secret import Secret

MAX_CACHE_SECONDS = 900.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)*")


@runtime_checkable
class SecretProvider(Protocol):
    """One place that holds secrets."""

    def get(self, name: str) -> Secret:
        """The secret called `name`; SecretError when it cannot be had. There is no default."""
        ...

    def probe(self) -> str:
        """Reach the provider and say in words what was reached; SecretError when that fails."""
        ...


class CachedProvider(ABC):
    """Fetches on first use and keeps a secret at most 15 minutes, in memory only."""

    def __init__(
        self, *, cache_seconds: float = MAX_CACHE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = min(cache_seconds, MAX_CACHE_SECONDS)
        self._clock = clock
        self._cache: dict[str, tuple[float, Secret]] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Secret:
        """The secret called `name`, fetched or from the cache."""
        if not _NAME.fullmatch(name):
            raise SecretError(f"{name!r} is not a secret's name", fix="use letters, digits and _ . - with / between")
        with self._lock:
            now = self._clock()
            held = self._cache.get(name)
            if held is not None and now - held[0] < self._seconds:
                return held[1]
            self._cache.pop(name, None)
            value = self._fetch(name)
            if not value:
                raise SecretError(f"the secret {name!r} is empty", where=self.probe(), fix="store its value again")
            secret = Secret(value)
            self._cache[name] = (now, secret)
            return secret

    @abstractmethod
    def probe(self) -> str: ...

    @abstractmethod
    def _fetch(self, name: str) -> str:
        """The value from the provider; SecretError when it is not there."""
