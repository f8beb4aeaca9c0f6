"""A job in a container: what it ends with, whatever happens."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from bqx.base.errors import BqxError
from bqx.base.redaction import redact
from bqx.base.runlog import event
from bqx.ops.container.layout import write_reason

STOPPED = 143
"""Exit status of a job that was told to stop: 128 and SIGTERM."""


class Stopped(KeyboardInterrupt):
    """SIGTERM: the service stops the job, or takes the machine back. What is done is kept, as after Ctrl-C."""


def run_job(work: Callable[[], None], reason: Path) -> int:
    """Do the work; its exit status. Anything but 0 leaves the reason in the file `reason`, redacted.

    A BqxError gives its own status (docs/errors.md), SIGTERM 143, anything else 70 with a ticket that is in the log.
    """
    with suppress(OSError):  # none is there, or nothing can be written there: `_leave` says so when it matters
        reason.unlink()
    try:
        with stoppable():
            work()
    except BqxError as error:
        _say(str(error))
        _leave(reason, str(error))
        return error.exit_code
    except Stopped:
        _say("stopped by SIGTERM; what was finished is kept, and the same job goes on from there")
        _leave(reason, "stopped by SIGTERM before it was done; what was finished is kept in checkpoints")
        return STOPPED
    except Exception as error:  # noqa: BLE001 - the last resort: a job must not end without a reason
        ticket = secrets.token_hex(4)
        _say("".join(traceback.format_exception(error)))
        _leave(reason, f"internal error {ticket} ({type(error).__name__}); the log has the ticket")
        _say(f"internal error {ticket}")
        return BqxError.exit_code
    return 0


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM raises Stopped in the main thread while this lasts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        event("container.sigterm", "warning")
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(path: Path, text: str) -> None:
    """Write the reason; where that cannot be, an endpoint's folder may be read-only, the log has it."""
    try:
        write_reason(path, text)
    except OSError as error:
        _say(f"the reason cannot be left at {path}: {error.strerror}")


def _say(text: str) -> None:
    sys.stderr.write(redact(text).rstrip("\n") + "\n")
    sys.stderr.flush()
