"""Ctrl-C is not lost where ctypes forgets it."""

from __future__ import annotations

import ctypes
import os
import signal
import threading

import pytest

from bqx.base.interrupts import interrupts


def _inside_a_callback() -> None:
    """Ctrl-C while a C library calls back into Python: printed, then forgotten."""
    called = ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), signal.SIGINT))
    called()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_is_forgotten_is_raised_again() -> None:
    with interrupts() as stop:
        stop()
        try:
            _inside_a_callback()
        except KeyboardInterrupt:
            pytest.skip("this Python does not forget it")
        with pytest.raises(KeyboardInterrupt):
            stop()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_others_and_other_threads_are_left_alone() -> None:
    def mine(number: int, frame: object) -> None:
        pass

    signal.signal(signal.SIGINT, mine)
    try:
        with interrupts() as stop:
            assert signal.getsignal(signal.SIGINT) is mine
            stop()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    seen: list[object] = []

    def other() -> None:
        with interrupts() as stop:
            stop()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
