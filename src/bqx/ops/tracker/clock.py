"""The time a tracker goes by: the machine's, or one that a test turns by hand."""

from __future__ import annotations

import time
from typing import Protocol

from bqx.store.known import now_us


class Clock(Protocol):
    """What waiting and stamping need."""

    def now_us(self) -> int:
        """Microseconds since 1970 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return now_us()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


SYSTEM = SystemClock()
"""The one that is used unless another is given: what is counted by it is counted a process."""
