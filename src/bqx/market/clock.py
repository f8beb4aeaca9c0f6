"""The clock of a file: what it is, how that is known, and the refusal of one that cannot be right.

A file's clock is right when its weekly closes fall on Friday 17:00 New York. Trading stops up to 24 minutes early at
some venues, so offsets are told apart in steps of 30 minutes. Openings are no evidence: some venues quote on Sunday
hours before the market opens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import ClockError
from bqx.market.calendar import NEW_YORK, datetime_of
from bqx.market.fileclock import FileClock

I8 = NDArray[np.int64]
SHORTEST, LONGEST = 44 * 60, 60 * 60  # minutes without a bar that can be a weekend
EARLY, STEP = 24, 30
FURTHEST = 14 * 60
ZONES = ("Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Moscow", "America/Chicago", "Asia/Tokyo")


@dataclass(frozen=True, slots=True)
class WeeklyClose:
    """shut: file-clock minute at which the last bar of a week ended; gap: minutes until the next bar."""

    shut: int
    gap: int

    def offset(self, at: int | None = None) -> int:
        """Minutes that the clock is ahead of UTC when this close was Friday 17:00 New York."""
        shut = self.shut if at is None else at
        off = shut - _nearest_friday_close(shut)
        return STEP * ((off + EARLY) // STEP)

    def as_dict(self) -> dict[str, Any]:
        return {"shut": _wall(self.shut), "gap_minutes": self.gap}


@dataclass(frozen=True, slots=True)
class ClockFinding:
    """clock: what was applied. how: `weekly close`, `stated in the file` or `option`, perhaps against the evidence."""

    clock: FileClock
    how: str
    closes: tuple[WeeklyClose, ...]
    agreeing: int
    notes: tuple[str, ...]

    @property
    def established(self) -> bool:
        """Whether at least one weekly close bears it out."""
        return self.agreeing > 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "clock": self.clock.text,
            "how": self.how,
            "established": self.established,
            "weekly_closes": len(self.closes),
            "agreeing": self.agreeing,
            "first_close": self.closes[0].as_dict() if self.closes else None,
            "notes": list(self.notes),
        }


def _nearest_friday_close(minute: int) -> int:
    """The Friday 17:00 New York (UTC minute) nearest to `minute`."""
    day = datetime_of(minute).date()
    near = [day + timedelta(days=k) for k in range(-4, 5)]
    return min((_close_of(d) for d in near if d.weekday() == 4), key=lambda c: abs(c - minute))


def _close_of(friday: date) -> int:
    return int(datetime(friday.year, friday.month, friday.day, 17, tzinfo=NEW_YORK).timestamp()) // 60


def _wall(minute: int) -> str:
    return datetime_of(minute).strftime("%a %Y-%m-%d %H:%M")


def find_closes(stamps: I8) -> tuple[WeeklyClose, ...]:
    """Gaps of 44 to 60 hours that begin within 14 hours of a Friday close. stamps: sorted unique minutes."""
    gap = np.diff(stamps) - 1
    at = np.flatnonzero((gap >= SHORTEST) & (gap <= LONGEST))
    closes = (WeeklyClose(int(stamps[i]) + 1, int(gap[i])) for i in at)
    return tuple(c for c in closes if abs(c.shut - _nearest_friday_close(c.shut)) <= FURTHEST + EARLY)


def _crowded(stamps: I8) -> I8:
    """Stamps with at least 10 others within an hour: stray bars in a weekend must not hide its close."""
    near = np.searchsorted(stamps, stamps + 60, side="right") - np.searchsorted(stamps, stamps - 60)
    out: I8 = stamps[near > 10]
    return out


def establish(
    stamps: I8,
    given: FileClock | None,
    *,
    stated: str = "",
    trust: bool = False,
    locate: Callable[[int], str] = str,
) -> ClockFinding:
    """Judge the clock of a file from its stamps (sorted unique minutes on the file's clock).

    locate : file:line of a stamp, for errors.
    given : the clock the user or the file states; None means: UTC, if the weekly closes say so.
    stated : when it is not the user: `in the file` or `by the format`.
    Raises ClockError when most closes fall elsewhere (unless `trust`), or when nothing says what the clock is.
    """
    closes = find_closes(stamps) or find_closes(_crowded(stamps))
    clock = given or FileClock.utc()
    agreeing = sum(_agrees(c, clock) for c in closes)
    how = f"stated {stated}" if stated else ("option" if given else "weekly close")
    notes: list[str] = []
    if not closes:
        if given is None:
            raise ClockError(
                f"the clock is not established: {len(stamps):,} bars from {_wall(int(stamps[0]))} to "
                f"{_wall(int(stamps[-1]))} hold no weekly close",
                where=locate(int(stamps[0])),
                fix="say what it is: --utc-offset=+00:00 for UTC, --timezone America/New_York, or import it together "
                "with days that hold a Friday close",
            )
        notes.append("no weekly close in the files: the clock is taken on trust")
    elif 2 * agreeing <= len(closes):
        if not trust:
            raise _refusal(closes, clock, given, locate)
        how += ", against the evidence"
        notes.append(f"{len(closes) - agreeing} of {len(closes)} weekly closes fall elsewhere than 17:00 New York")
    else:
        odd = [c for c in closes if not _agrees(c, clock)]
        notes += [f"odd weekly close at {_wall(c.shut)} on the file's clock (early close or missing bars)" for c in odd]
        notes += _far(stamps, closes)
    return ClockFinding(clock, how, closes, agreeing, tuple(notes))


def _far(stamps: I8, closes: Sequence[WeeklyClose]) -> list[str]:
    shut = np.array([c.shut for c in closes])
    days = np.unique(stamps // 1440) * 1440
    far = days[np.abs(days[:, None] - shut[None, :]).min(axis=1) > 60 * 1440]
    if not len(far):
        return []
    return [
        f"{len(far)} days, first {_wall(int(far[0]))[4:14]}, lie more than 60 days from any weekly close; "
        "the same clock is assumed for them"
    ]


def _agrees(close: WeeklyClose, clock: FileClock) -> bool:
    utc = int(clock.to_utc(np.array([close.shut]))[0])
    return close.offset(utc) == 0


def proposals(closes: Sequence[WeeklyClose]) -> list[FileClock]:
    """Clocks that put most closes on Friday 17:00 New York, the best first; the fixed offset wins a tie."""
    fixed = Counter(c.offset() for c in closes).most_common(1)[0][0]
    wall = Counter(STEP * ((_behind_new_york(c) + EARLY) // STEP) for c in closes).most_common(1)[0][0]
    tried = [FileClock.fixed(fixed), FileClock.zone("America/New_York", wall), *(FileClock.zone(z) for z in ZONES)]
    score = [sum(_agrees(c, clock) for c in closes) for clock in tried]
    best = max(score)
    return [clock for clock, got in zip(tried, score, strict=True) if got == best]


def _behind_new_york(close: WeeklyClose) -> int:
    """File-clock minutes of the close after Friday 17:00 on a New York wall clock."""
    utc = _nearest_friday_close(close.shut)
    local = datetime_of(utc).astimezone(NEW_YORK).replace(tzinfo=UTC)
    return close.shut - int(local.timestamp()) // 60


def _refusal(
    closes: tuple[WeeklyClose, ...], clock: FileClock, given: FileClock | None, locate: Callable[[int], str]
) -> ClockError:
    found = proposals(closes)
    seen = next(c for c in closes if not _agrees(c, clock))
    local = datetime_of(int(clock.to_utc(np.array([seen.shut]))[0])).astimezone(NEW_YORK)
    wrong = sum(not _agrees(c, clock) for c in closes)
    others = ", ".join(f"--{c.option}" for c in found[1:3])
    return ClockError(
        f"read as {clock.text}, the weekly close falls at {local:%a %H:%M} New York instead of Fri 17:00 "
        f"({wrong} of {len(closes)} closes; first: the file's last bar of a week ends {_wall(seen.shut)}, then "
        f"{seen.gap // 60} h without bars)",
        where=locate(seen.shut - 1),
        fix=f"use --{found[0].option}"
        + (f" (or, if the clock keeps summer time, {others})" if others else "")
        + ("; --trust-clock insists on yours" if given else ""),
    )
