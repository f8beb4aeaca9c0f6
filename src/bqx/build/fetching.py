"""Days of minute candles from a server with Dukascopy's layout to files of the same layout."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bqx.base.atomic import sweep, write_bytes
from bqx.base.download import Downloader
from bqx.base.errors import FetchError, InputError, UsageError
from bqx.market.calendar import Calendar, minute_of
from bqx.market.importers import bi5

SIDES = ("bid", "ask")
GIVE_UP = 5
"""Files in a row that may fail before the rest is not tried."""
_TELL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """wanted: places below `out` of days with open minutes; present: those that are there and whole."""

    out: Path
    wanted: tuple[str, ...]
    present: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        have = set(self.present)
        return tuple(path for path in self.wanted if path not in have)

    @property
    def files(self) -> tuple[Path, ...]:
        """The wanted files that are on disk now, in the order of pair, day and side."""
        return tuple(self.out / path for path in self.wanted if (self.out / path).is_file())


@dataclass(frozen=True, slots=True)
class FetchReport:
    """Counts of files. absent: the server has none; failed: place -> reason; untried: after giving up."""

    wanted: int
    present: int
    fetched: int
    absent: tuple[str, ...]
    failed: dict[str, str]
    untried: int
    bytes: int
    retries: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def require_all(self) -> None:
        """Raises FetchError when a file failed or was not tried."""
        if self.failed:
            first = next(iter(self.failed))
            raise FetchError(
                f"{len(self.failed)} of {self.wanted - self.present:,} files failed, {self.untried:,} were not tried; "
                f"first: {self.failed[first]}",
                where=first,
                fix="run the same command again: it goes on where it stopped",
            )


def plan_fetch(
    pairs: Sequence[str], first: date, last: date, out: Path, calendar: Calendar, *, today: date | None = None
) -> FetchPlan:
    """Both sides of days [first, last) that have open minutes. Raises UsageError for a day that is not over."""
    over = today or datetime.now(UTC).date()
    if first >= last:
        raise UsageError(f"--from {first} is not before --to {last}")
    if last > over:
        raise UsageError(f"{last - timedelta(days=1)} is not over yet in UTC", fix=f"use --to {over}")
    days = [first + timedelta(days=k) for k in range((last - first).days)]
    open_days = [day for day in days if len(calendar.grid(_minute(day), _minute(day + timedelta(days=1))))]
    wanted = tuple(bi5.day_path(pair, day, side) for pair in pairs for day in open_days for side in SIDES)
    return FetchPlan(out, wanted, tuple(path for path in wanted if _whole(out / path)))


def _minute(day: date) -> int:
    return minute_of(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _whole(path: Path) -> bool:
    """Whether a file is there and holds candles; one that does not is fetched again."""
    try:
        return path.is_file() and bool(bi5.load(path).data)
    except InputError:
        return False


def fetch(plan: FetchPlan, server: Downloader, *, tell: Callable[[str], None] = lambda _: None) -> FetchReport:
    """Download what is missing, file by file; each is on disk whole or not at all."""
    began = shown = time.monotonic()
    absent: list[str] = []
    failed: dict[str, str] = {}
    fetched = size = in_a_row = 0
    missing = plan.missing
    for number, path in enumerate(missing):
        try:
            body = server.get(path, partial(bi5.unpack, name=path))
            in_a_row = 0
        except FetchError as error:
            failed[path] = error.what
            tell(f"{path}: {error.what}")
            in_a_row += 1
            if in_a_row == GIVE_UP:
                break
            continue
        if body:
            sweep((plan.out / path).parent)
            write_bytes(plan.out / path, body)
            fetched, size = fetched + 1, size + len(body)
        else:
            absent.append(path)
        now = time.monotonic()
        if now - shown >= _TELL_SECONDS:
            shown = now
            left = (now - began) * (len(missing) / (number + 1) - 1)
            tell(f"{number + 1:,} of {len(missing):,} files, {size / 1e6:.1f} MB, about {left:.0f} s left")
    untried = len(missing) - fetched - len(absent) - len(failed)
    spent = time.monotonic() - began
    return FetchReport(
        len(plan.wanted), len(plan.present), fetched, tuple(absent), failed, untried, size, server.retried, spent
    )
