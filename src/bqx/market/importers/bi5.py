"""Dukascopy's minute candles: one LZMA file a pair, day and side, `{PAIR}/{YYYY}/{MM-1}/{DD}/{SIDE}_candles_min_1.bi5`.

Unpacked: 24-byte big-endian records of seconds since the UTC day began, open, close, low, high in points, volume as
float32. A point is 1e-5, 1e-3 with the yen. An empty file is a day without candles.
"""

from __future__ import annotations

import hashlib
import lzma
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import InputError
from bqx.market.bars import PRICE_COLUMNS
from bqx.market.fileclock import FileClock
from bqx.market.importers.padding import mark_padding
from bqx.market.importers.raw import RawBars
from bqx.market.importers.sides import MID, combine
from bqx.market.importers.table import check_prices, check_years
from bqx.market.importers.text import Text
from bqx.market.pairs import parse_pair

RECORD = np.dtype(
    [("second", ">i4"), ("open", ">i4"), ("close", ">i4"), ("low", ">i4"), ("high", ">i4"), ("volume", ">f4")]
)
DAY_RECORDS = 1440
MAX_PACKED = 1 << 20
"""Largest file in bytes; a busy day takes 25,000."""
_MEMORY = 128 << 20
_PLACE = re.compile(r"([A-Za-z]{6})/(\d{4})/(\d\d)/(\d\d)/(BID|ASK)_candles_min_1\.bi5")


@dataclass(frozen=True, slots=True)
class Candles(Text):
    """data: the unpacked records. A line is the number of a record."""

    def where(self, line: int) -> str:
        return f"{self.name}:record {line}"

    def quote(self, lines: Collection[int]) -> dict[int, str]:
        records = np.frombuffer(self.data, RECORD)
        return {n: ",".join(str(x) for x in records[n - 1].tolist()) for n in lines}


def is_packed(head: bytes) -> bool:
    """Whether a file begins like a raw LZMA stream."""
    return head[:3] == b"\x5d\x00\x00"


def day_path(pair: str, day: date, side: str) -> str:
    """Place of a day's candles below a folder or base URL."""
    return f"{pair.upper()}/{day.year}/{day.month - 1:02d}/{day.day:02d}/{side.upper()}_candles_min_1.bi5"


def place_of(path: Path) -> tuple[str, date, str]:
    """Pair, day and side from the folders; InputError when they are not the vendor's."""
    found = _PLACE.fullmatch("/".join(path.absolute().parts[-5:]))
    try:
        if not found:
            raise ValueError("other folders")
        return parse_pair(found[1]).name, date(int(found[2]), int(found[3]) + 1, int(found[4])), found[5].lower()
    except ValueError as exc:
        raise InputError(
            "a candle file does not hold its pair, day and side: they must stand in its folders",
            where=str(path),
            fix="keep it as PAIR/YYYY/MM/DD/BID_candles_min_1.bi5, with MM from 00 for January to 11",
        ) from exc


def load(path: Path) -> Candles:
    """Raises InputError for a file that is absent, too large, damaged or cut off."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(MAX_PACKED + 1)
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror or exc}", where=str(path)) from exc
    digest = hashlib.sha256(packed).hexdigest()
    return Candles(str(path), path, path.name, unpack(packed, str(path)), digest, len(packed))


def unpack(packed: bytes, name: str) -> bytes:
    """Records of a day's file, none for an empty one; InputError for anything but whole records of one day."""
    if not packed:
        return b""
    limit = DAY_RECORDS * RECORD.itemsize
    if len(packed) > MAX_PACKED:
        raise InputError(f"is larger than {MAX_PACKED:,} bytes; a day takes about 25,000", where=name)
    if not is_packed(packed):
        raise InputError(
            f"is not a packed candle file: it begins {packed[:40]!r}", where=f"{name}:1", fix="download it again"
        )
    try:
        reader = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY)
        data = reader.decompress(packed, limit + 1)
    except (lzma.LZMAError, EOFError) as exc:
        raise InputError(f"candle file is damaged: {exc}", where=f"{name}:1", fix="download it again") from exc
    if len(data) > limit:
        raise InputError(f"unpacks to more than the {DAY_RECORDS:,} candles of a day", where=f"{name}:1")
    if not reader.eof:
        raise InputError("candle file is truncated", where=f"{name}:1", fix="download it again")
    if reader.unused_data:
        raise InputError(f"{len(reader.unused_data):,} bytes follow the candles", where=f"{name}:1")
    if len(data) % RECORD.itemsize or not data:
        raise InputError(
            f"unpacks to {len(data):,} bytes, not to records of {RECORD.itemsize}",
            where=f"{name}:record {len(data) // RECORD.itemsize + 1}",
            fix="only minute candles are read, no ticks",
        )
    return data


@dataclass(frozen=True, slots=True)
class _Rows:
    """Places of rows that stand in many files; a line is the number of the row, from 0."""

    texts: tuple[Text, ...]
    file: NDArray[np.int32]
    line: NDArray[np.int64]

    def where(self, line: int) -> str:
        return self.texts[int(self.file[line])].where(int(self.line[line]))


def read(texts: tuple[Text, ...], pair: str) -> RawBars:
    """Days of one pair, one side or both; InputError names file and record."""
    order = sorted((place_of(text.path)[2], place_of(text.path)[1], text.name, text) for text in texts)
    ordered = tuple(text for *_, text in order)
    found: dict[str, pl.DataFrame] = {}
    for side in ("bid", "ask"):
        numbers = [k for k, (s, *_, text) in enumerate(order) if s == side and text.data]
        if numbers:
            found[side] = _side(ordered, numbers, pair)
    if not found:
        raise InputError(f"all {len(texts)} files are empty", where=texts[0].name, fix="give days with trading")
    return RawBars(
        pair,
        "bi5",
        MID if len(found) == 2 else next(iter(found)),
        ordered,
        combine(found.get("bid"), found.get("ask")),
        clock=FileClock.utc(),
        clock_by="by the format",
    )


def _side(texts: tuple[Text, ...], numbers: list[int], pair: str) -> pl.DataFrame:
    records = np.frombuffer(b"".join(texts[k].data for k in numbers), RECORD)
    lengths = [len(texts[k].data) // RECORD.itemsize for k in numbers]
    file = np.repeat(np.array(numbers, np.int32), lengths)
    line = np.concatenate([np.arange(1, n + 1, dtype=np.int64) for n in lengths])
    start = np.repeat(np.array([_epoch(place_of(texts[k].path)[1]) for k in numbers], np.int64), lengths)
    second = records["second"].astype(np.int64)
    point = 1e3 if pair.endswith("jpy") else 1e5
    rows = _Rows(texts, file, line)
    beyond = (second < 0) | (second >= 86_400)
    if beyond.any():
        at = int(beyond.argmax())
        raise InputError(f"second {second[at]} is not within a day", where=rows.where(at), fix="download it again")
    frame = pl.DataFrame(
        {
            "row": np.arange(len(records)),
            "file": file,
            "line": line,
            "stamp": pl.Series((start + second) * 1_000_000).cast(pl.Datetime("us")),
            **{name: records[name].astype(np.float64) / point for name in PRICE_COLUMNS},
            "volume": records["volume"].astype(np.float64),
        }
    )
    at_row = frame.with_columns(line=pl.col("row"))
    check_prices(rows, at_row, PRICE_COLUMNS, ("volume",))
    check_years(rows, at_row, frame["stamp"], pl.col("stamp"))
    return mark_padding(frame.drop("row"))


def _epoch(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400
