"""The time that decides when a minute is over: it does not follow jumps of the machine's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

JUMP = 2.0
"""Seconds between two looks by which the wall clock may differ from the monotonic one before that is a jump."""
SLEW = 0.05
"""Share of a smaller difference that is made up at each look."""


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since 1970, UTC."""
        ...


class SteadyClock:
    """Wall time at the start plus what the monotonic clock has counted since; drifts are followed, jumps are not.

    jumped : seconds the wall clock has jumped away, 0.0 while it is believed. A process that starts after the jump
    knows nothing of it: then bars lie ahead of the clock, or far behind, and the book says so.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._offset = wall() - monotonic()
        self.jumped = 0.0

    def now(self) -> float:
        steady = self._monotonic() + self._offset
        away = self._wall() - steady
        if abs(away) <= JUMP:
            self._offset += SLEW * away
            self.jumped = 0.0
        else:
            self.jumped = away
        return steady


class FeedClock:
    """The clock of a replay: it stands where the feed puts it, and never goes back."""

    def __init__(self) -> None:
        self._now = 0.0

    def set(self, now: float) -> None:
        self._now = max(self._now, now)

    def now(self) -> float:
        return self._now
