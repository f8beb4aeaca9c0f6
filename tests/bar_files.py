"""Bars written the way vendors write them, for tests of the importers."""

from __future__ import annotations

import lzma
import struct
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

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


def histdata(path: Path, rows: Sequence[Row]) -> Path:
    est = ahead(-5)
    path.write_text("".join(f"{est(r.ts):%Y%m%d %H%M%S};{r.o:.6f};{r.h:.6f};{r.l:.6f};{r.c:.6f};0\n" for r in rows))
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


def side_prices(row: Row, side: str) -> list[float]:
    """Open, high, low, close of a side, rounded as vendors round."""
    sign = -1 if side == "bid" else 1
    return [round(x + sign * row.half, 5) for x in (row.o, row.h, row.l, row.c)]


def dukascopy(folder: Path, rows: Sequence[Row], side: str, head: str = "Gmt time", form: str = "gmt") -> Path:
    """form: of the times, `gmt`, `local` (two hours ahead, says so) or `eet`."""
    path = folder / f"EURUSD_Candlestick_1_M_{side.upper()}_06.06.2024-11.06.2024.csv"
    stamps = {
        "gmt": lambda t: f"{t:%d.%m.%Y %H:%M:%S}.000",
        "local": lambda t: f"{ahead(2)(t):%d.%m.%Y %H:%M:%S}.000 GMT+0200",
        "eet": lambda t: f"{t.astimezone(ZoneInfo('Europe/Athens')):%Y.%m.%d %H:%M:%S}",
    }
    body = (
        ",".join([stamps[form](r.ts), *(f"{x:.5f}" for x in side_prices(r, side)), str(r.v / 10)]) + "\n" for r in rows
    )
    path.write_text(f"{head},Open,High,Low,Close,Volume\n" + "".join(body))
    return path


def pack(records: Sequence[tuple[datetime, int, int, int, int, float]]) -> bytes:
    """Time, open, high, low, close in points and volume as the vendor packs them."""
    raw = (struct.pack(">5if", (t.hour * 60 + t.minute) * 60, o, c, l, h, volume) for t, o, h, l, c, volume in records)
    return lzma.compress(b"".join(raw), lzma.FORMAT_ALONE, preset=1)


def bi5_day(rows: Sequence[Row], side: str, point: float = 1e5) -> bytes:
    """A day's candles of one side."""
    points = [[round(x * point) for x in side_prices(r, side)] for r in rows]
    return pack([(r.ts, *p, float(r.v)) for r, p in zip(rows, points, strict=True)])


def bi5(folder: Path, rows: Sequence[Row], sides: Sequence[str] = ("bid", "ask"), pair: str = "EURUSD") -> Path:
    """One file a UTC day and side, months counted from 00."""
    days: dict[datetime, list[Row]] = {}
    for r in rows:
        days.setdefault(r.ts.replace(hour=0, minute=0), []).append(r)
    for day, part in days.items():
        base = folder / pair / f"{day:%Y}" / f"{day.month - 1:02d}" / f"{day:%d}"
        base.mkdir(parents=True, exist_ok=True)
        for side in sides:
            (base / f"{side.upper()}_candles_min_1.bi5").write_bytes(bi5_day(part, side))
    return folder / pair


def padded(rows: Sequence[Row], last: datetime | None = None) -> list[Row]:
    """`rows` with flat candles without volume in every minute that has none, up to the end of the last day."""
    have = {r.ts: r for r in rows}
    out: list[Row] = []
    when = rows[0].ts
    end = last or rows[-1].ts.replace(hour=0, minute=0) + timedelta(days=1)
    while when < end:
        before = out[-1].c if out else rows[0].o
        out.append(have.get(when) or Row(when, before, before, before, before, 0, out[-1].half))
        when += timedelta(minutes=1)
    return out


def table_csv(path: Path, rows: Sequence[Row], *, head: str = "when|o|h|l|c|ticks|remark", sep: str = "|") -> Path:
    body = (
        sep.join([f"{r.ts:%m/%d/%Y %H:%M}", f"{r.o:.5f}", f"{r.h:.5f}", f"{r.l:.5f}", f"{r.c:.5f}", str(r.v), ""])
        + "\n"
        for r in rows
    )
    path.write_text(head + "\n" + "".join(body))
    return path


def parquet(path: Path, rows: Sequence[Row], zone: str | None = "America/New_York", unit: str = "ms") -> Path:
    stamp = pl.Series([r.ts for r in rows]).cast(pl.Datetime(unit, "UTC"))
    stamp = stamp.dt.convert_time_zone(zone) if zone else stamp.dt.replace_time_zone(None)
    columns = {name: [getattr(r, name[0]) for r in rows] for name in ("open", "high", "low", "close", "volume")}
    pl.DataFrame({"timestamp": stamp, **columns}).write_parquet(path)
    return path


def prices(rows: Sequence[Row]) -> pl.DataFrame:
    """What the importers must deliver of `rows`: ts_utc and mid prices."""
    return pl.DataFrame(
        {
            "ts_utc": pl.Series([r.ts for r in rows]).cast(pl.Datetime("us", "UTC")),
            **{name: [getattr(r, name[0]) for r in rows] for name in ("open", "high", "low", "close")},
        }
    )
