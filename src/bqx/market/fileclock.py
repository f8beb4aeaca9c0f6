"""A clock a file can be written in: a fixed offset, or a time zone, or New York plus hours as brokers keep it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import UsageError

I8 = NDArray[np.int64]
_OFFSET = re.compile(r"([+-]?)(\d{1,2})(?::?(\d\d))?")
_ZONE = re.compile(r"([A-Za-z_]+(?:/[A-Za-z_+\-0-9]*?[A-Za-z_])*)([+-]\d\d:\d\d)?")


@dataclass(frozen=True, slots=True)
class FileClock:
    """File time = time in `name` (an IANA zone; "" for UTC) + `shift` minutes."""

    name: str
    shift: int

    @classmethod
    def utc(cls) -> FileClock:
        return cls("", 0)

    @classmethod
    def fixed(cls, minutes: int) -> FileClock:
        return cls("", minutes)

    @classmethod
    def zone(cls, name: str, shift: int = 0) -> FileClock:
        return cls(name, shift)

    @classmethod
    def parse(cls, utc_offset: str | None, timezone: str | None) -> FileClock | None:
        """From `--utc-offset=-05:00` or `--timezone America/New_York+07:00`; UsageError for anything else."""
        if utc_offset is not None and timezone is not None:
            raise UsageError("--utc-offset and --timezone exclude each other", fix="give one")
        if utc_offset is not None:
            return cls.fixed(_minutes(utc_offset))
        if timezone is None:
            return None
        found = _ZONE.fullmatch(timezone)
        try:
            if not found:
                raise ValueError(timezone)
            ZoneInfo(found[1])
        except (ValueError, ZoneInfoNotFoundError) as exc:
            raise UsageError(f"unknown time zone {timezone!r}", fix="for example America/New_York+07:00") from exc
        return cls.zone(found[1], _minutes(found[2]) if found[2] else 0)

    @property
    def text(self) -> str:
        if not self.name:
            return f"UTC{_signed(self.shift)}" if self.shift else "UTC"
        return self.name + (_signed(self.shift) if self.shift else "")

    @property
    def option(self) -> str:
        """The command line option that states this clock, without its dashes."""
        return f"timezone={self.text}" if self.name else f"utc-offset={_signed(self.shift)}"

    def to_utc(self, minutes: I8) -> I8:
        """UTC minutes of file-clock minutes. A zone's repeated hour is read as its first, a skipped one as the next."""
        local = np.asarray(minutes, dtype=np.int64) - self.shift
        if not self.name:
            return local
        return self._shift_zone(local * 60_000_000) // 60_000_000

    def series_to_utc(self, stamps: pl.Series) -> pl.Series:
        """Naive Datetime("us") on the file's clock -> Datetime("us", "UTC")."""
        local = stamps.to_physical().to_numpy() - self.shift * 60_000_000
        utc = self._shift_zone(local) if self.name else local
        return pl.Series("ts_utc", utc).cast(pl.Datetime("us", "UTC"))

    def _shift_zone(self, local: I8) -> I8:
        frame = pl.DataFrame({"t": pl.Series(local).cast(pl.Datetime("us"))})
        known, next_hour = (
            when.dt.replace_time_zone(self.name, ambiguous="earliest", non_existent="null")
            for when in (pl.col("t"), pl.col("t") + pl.duration(hours=1))
        )
        out = frame.select(pl.coalesce(known, next_hour).alias("t"))["t"]
        return out.to_physical().to_numpy().astype(np.int64)


def _minutes(text: str) -> int:
    found = _OFFSET.fullmatch(text.strip())
    if not found or int(found[2]) > 14 or int(found[3] or 0) > 59:
        raise UsageError(f"{text!r} is not an offset from UTC", fix="write it as +02:00 or -05:00")
    size = int(found[2]) * 60 + int(found[3] or 0)
    return -size if found[1] == "-" else size


def _signed(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
