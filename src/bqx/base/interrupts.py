"""Ctrl-C that cannot be lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts() -> Iterator[Callable[[], None]]:
    """Remember Ctrl-C while this runs; the function that is given raises KeyboardInterrupt once more if it came.

    Python raises it in whatever the main thread does. Inside a callback of a C library (llvmlite's while a kernel is
    loaded) ctypes prints it and goes on, and a build that was told to stop would end as if nothing had been said.
    Outside the main thread, or under a handler of the caller's, nothing is done.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: None
        return
    came: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hear)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
