"""Known-at times: integer microseconds since 1970 UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from bqx.base.errors import UsageError

AsOf = str | datetime | int | None
"""ISO text with a zone (a bare date means its first instant in UTC), aware datetime, or microseconds; None is now."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_us() -> int:
    return time.time_ns() // 1000


def known_us(value: AsOf) -> int | None:
    """Microseconds UTC of an as-of time, None for None; raises UsageError for text or times that are ambiguous."""
    if value is None or isinstance(value, int):
        return value
    fix = "write it like 2024-07-01T12:00:00Z"
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise UsageError(f"{value!r} is not a time", fix=fix) from error
        if when.tzinfo is None and len(value.strip()) == 10:
            when = when.replace(tzinfo=UTC)
        value = when
    if value.tzinfo is None:
        raise UsageError(f"as-of time {value.isoformat()} has no time zone", fix=fix)
    delta = value - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def known_text(us: int) -> str:
    """ISO form of a known-at time, in UTC."""
    seconds, rest = divmod(us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat().replace("+00:00", "Z")
