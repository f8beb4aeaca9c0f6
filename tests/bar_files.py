"""Bars written the way vendors write them, for tests of the importers."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from bqx.market.calendar import Calendar, datetime_of, minute_of


class Row(NamedTuple):
    """One minute: UTC time, mid prices, tick volume; `half` is half the spread."""

    ts: datetime
    o: float
    h: float
    l: float
    c: float
    v: int
    half: float = 0.0001


def make_rows(start: str = "2024-06-03T00:00", days: float = 12, seed: int = 1) -> list[Row]:
    """A random walk over the open minutes from `start` (UTC) on."""
    first = minute_of(datetime.fromisoformat(start).replace(tzinfo=UTC))
    grid = Calendar.load().grid(first, first + int(days * 1440))
    rng = np.random.default_rng(seed)
    close = 1.1 * np.exp(np.cumsum(rng.normal(0, 1e-4, len(grid))))
    rows = []
    last = 1.1
    for minute, c in zip(grid.minute, np.round(close, 5), strict=True):
        high, low = max(last, c) + 0.00003, min(last, c) - 0.00003
        rows.append(Row(datetime_of(int(minute)), last, round(high, 5), round(low, 5), float(c), int(minute % 97) + 1))
        last = float(c)
    return rows


Clock = Callable[[datetime], datetime]


def utc(when: datetime) -> datetime:
    return when


def ahead(hours: float) -> Clock:
    return lambda when: when + timedelta(hours=hours)


def line(row: Row, clock: Clock = utc) -> str:
    return f"{clock(row.ts):%Y-%m-%d %H:%M},{row.o:.5f},{row.h:.5f},{row.l:.5f},{row.c:.5f},{row.v}"


def metatrader(path: Path, rows: Sequence[Row], clock: Clock = utc) -> Path:
    path.write_text("".join(line(r, clock) + "\n" for r in rows))
    return path


def tab_export(path: Path, rows: Sequence[Row]) -> Path:
    head = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\r\n"
    body = (
        f"{r.ts:%Y.%m.%d}\t{r.ts:%H:%M:%S}\t{r.o:.5f}\t{r.h:.5f}\t{r.l:.5f}\t{r.c:.5f}\t{r.v}\t0\t12\r\n" for r in rows
    )
    path.write_bytes((head + "".join(body)).encode())
    return path


def classic(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(line(r).replace("-", ".").replace(" ", ",") + "\n" for r in rows))
    return path


def semicolons(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(f"{r.ts:%Y%m%d %H%M%S};{r.o:.5f};{r.h:.5f};{r.l:.5f};{r.c:.5f};{r.v}\n" for r in rows))
    return path


def fxcm(folder: Path, rows: Sequence[Row], pair: str = "EURUSD") -> tuple[Path, Path]:
    out = []
    for side, sign in (("bid", -1), ("ask", 1)):
        path = folder / f"{pair.lower()}-m1-{side}.csv"
        body = (
            f"{r.ts:%Y-%m-%d %H:%M:%S}+00:00," + ",".join(f"{x + sign * r.half:.5f}" for x in (r.o, r.h, r.l, r.c))
            for r in rows
        )
        path.write_text("timestamp,open,high,low,close\n" + "".join(text + "\n" for text in body))
        out.append(path)
    return out[0], out[1]


def lean(folder: Path, rows: Sequence[Row], clock: Clock = utc, venue: str = "oanda", pair: str = "eurusd") -> Path:
    base = folder / "forex" / venue / "minute" / pair
    base.mkdir(parents=True)
    days: dict[str, list[str]] = {}
    for r in rows:
        at = clock(r.ts)
        prices = [",".join(f"{x + s * r.half:.5f}" for x in (r.o, r.h, r.l, r.c)) for s in (-1, 1)]
        ms = (at.hour * 60 + at.minute) * 60000
        days.setdefault(f"{at:%Y%m%d}", []).append(f"{ms},{prices[0]},0,{prices[1]},0")
    for day, lines in days.items():
        zip_text(base / f"{day}_quote.zip", f"{day}_{pair}_minute_quote.csv", "\n".join(lines))
    return base


def zip_text(path: Path, entry: str, text: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry, text)
    return path


def prices(rows: Sequence[Row]) -> pl.DataFrame:
    """What the importers must deliver of `rows`: ts_utc and mid prices."""
    return pl.DataFrame(
        {
            "ts_utc": pl.Series([r.ts for r in rows]).cast(pl.Datetime("us", "UTC")),
            **{name: [getattr(r, name[0]) for r in rows] for name in ("open", "high", "low", "close")},
        }
    )
