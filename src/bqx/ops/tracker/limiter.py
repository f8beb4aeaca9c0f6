"""Never more than so many requests in any second, as the server sees them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from bqx.ops.tracker.clock import Clock

if TYPE_CHECKING:
    import requests


class Limiter:
    """`rate` requests in any `per_s` seconds.

    Ends are noted, not beginnings: a request reached the server before it ended, so the distance that is kept here is
    no longer than the one there, whatever the network does to each.
    """

    def __init__(self, clock: Clock, rate: int = 5, per_s: float = 1.0) -> None:
        self._clock, self._per_s = clock, per_s
        self._ends: deque[float] = deque(maxlen=rate)

    def wait(self) -> None:
        """Before a request."""
        while len(self._ends) == self._ends.maxlen:
            left = self._ends[0] + self._per_s - self._clock.monotonic()
            if left < 0:
                return
            self._clock.sleep(left + 0.001)

    def done(self) -> None:
        """After it, however it ended."""
        self._ends.append(self._clock.monotonic())


_shared: dict[tuple[int, str], Limiter] = {}


def shared_limiter(clock: Clock, endpoint: str) -> Limiter:
    """The one of this process for `endpoint`: trackers that are opened one after the other keep the limit together."""
    return _shared.setdefault((id(clock), endpoint), Limiter(clock))


def limit(session: requests.Session, limiter: Limiter) -> None:
    """Let every request of `session`, whoever makes it, pass `limiter`."""
    from requests.adapters import HTTPAdapter

    class Limited(HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            limiter.wait()
            try:
                return super().send(*args, **kwargs)
            finally:
                limiter.done()

    for scheme in ("https://", "http://"):
        session.mount(scheme, Limited())
