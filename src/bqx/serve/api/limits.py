"""What one client may ask for: token buckets, and the sizes and times a request must keep to."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a server. Times in seconds, sizes in bytes.

    rows : feature rows of one invocation. failures : wrong keys a second from one
    address. connections, per_client : open at once. queue : cold predictions that may wait before new ones are refused.
    """

    body: int = 1 << 20
    invocation_body: int = 6 << 20
    rows: int = 1024
    failures: float = 5.0
    header_s: float = 5.0
    body_s: float = 10.0
    send_s: float = 10.0
    idle_s: float = 15.0
    connections: int = 512
    per_client: int = 256
    queue: int = 64


class Buckets:
    """A token bucket for each name: `rate` a second, one second's worth at once. The least recently used are dropped
    beyond `keep`, which can only be generous to a client that was quiet for long."""

    def __init__(self, keep: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._keep = clock, keep
        self._state: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, rate: float, count: float = 1.0) -> float:
        """0 when `count` may pass now, else the seconds to wait. More than fits a bucket waits for a full one."""
        now = self._clock()
        room = max(rate, 1.0)
        tokens, then = self._state.pop(name, (room, now))
        tokens = min(room, tokens + (now - then) * rate)
        need = min(count, room)
        wait = 0.0 if tokens >= need else (need - tokens) / rate
        self._state[name] = (tokens - count if wait == 0.0 else tokens, now)
        while len(self._state) > self._keep:
            self._state.popitem(last=False)
        return wait
