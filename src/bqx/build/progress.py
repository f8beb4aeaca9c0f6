"""How a build shows itself: a bar on a terminal, a plain line every few seconds elsewhere, events for machines."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from bqx.base.runlog import event

if TYPE_CHECKING:
    from bqx.build.worker import Outcome

EVERY_SECONDS = 5.0


class Progress(Protocol):
    """Told of every unit that ends; a context manager."""

    def __enter__(self) -> Progress: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None: ...
    def advance(self, outcome: Outcome) -> None: ...


class Silent:
    """Shows nothing; units are still logged as events."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pass

    def advance(self, outcome: Outcome) -> None:
        unit = outcome.unit
        fields: dict[str, Any] = {"dataset": unit.dataset, "month": unit.ym, "partitions": len(unit.pieces)}
        if outcome.reason is None:
            event("build.unit", **fields, values=unit.values, core_seconds=round(outcome.seconds, 3))
        else:
            event("build.unit_failed", level="warning", **fields, attempts=outcome.attempts, reason=outcome.reason)


class Lines(Silent):
    """One line at most every `EVERY_SECONDS` on stderr."""

    def __init__(self, total_values: int) -> None:
        self._total, self._done, self._failed = total_values, 0, 0
        self._began = self._shown = time.monotonic()

    def advance(self, outcome: Outcome) -> None:
        super().advance(outcome)
        self._done += outcome.unit.values
        self._failed += outcome.reason is not None
        now = time.monotonic()
        if now - self._shown >= EVERY_SECONDS:
            self._shown = now
            left = (now - self._began) * (self._total / max(self._done, 1) - 1)
            share = 100 * self._done / max(self._total, 1)
            failed = f", {self._failed} units failed" if self._failed else ""
            print(f"{share:3.0f} % built, {human_time(left)} left{failed} ({outcome.unit.name})", file=sys.stderr)


class Bar(Silent):
    """A rich progress bar on stderr."""

    def __init__(self, total_values: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        shown = (TextColumn("{task.description:34}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._rich = Rich(*shown, console=Console(stderr=True), transient=True)
        self._task = self._rich.add_task("building", total=max(total_values, 1))

    def __enter__(self) -> Bar:
        self._rich.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._rich.stop()

    def advance(self, outcome: Outcome) -> None:
        super().advance(outcome)
        self._rich.update(self._task, advance=outcome.unit.values, description=outcome.unit.name)


def make_progress(total_values: int, *, log_json: bool = False) -> Progress:
    """What suits stderr: events only under `--log-json`, a bar on a terminal, lines otherwise."""
    if log_json:
        return Silent()
    return Bar(total_values) if sys.stderr.isatty() else Lines(total_values)


def human_time(seconds: float) -> str:
    """
    >>> human_time(3725), human_time(59.6), human_time(0.04)
    ('1 h 2 min', '60 s', '0 s')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
