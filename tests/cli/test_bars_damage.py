"""Every importer meets every kind of damage: file and line are named, exit 4, and the store is left alone."""

from __future__ import annotations

import lzma
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

import bar_files as bf
from bars_run import Run, state
from bqx.market.importers.text import MAX_ENTRY

ROWS = bf.make_rows("2024-06-06T12:00", 0.05)
AT = 40
"""The row that is damaged, counted from 1."""


class Sample(NamedTuple):
    """How a text format looks: the whole file, its lines of head, where time, high and volume stand."""

    name: str
    write: Callable[[Path], Path]
    separator: str
    head: int
    time: int
    high: int
    volume: int
    options: tuple[str, ...] = ()


MAP = ("--map", "ts=when,open=o,high=h,low=l,close=c,volume=ticks", "--ts-format", "%m/%d/%Y %H:%M")
TEXTS = {
    "histdata": Sample("DAT_EURUSD.csv", lambda p: bf.histdata(p, ROWS), ";", 0, 0, 2, 5),
    "dukascopy": Sample("EURUSD_Bid_.csv", lambda p: bf.dukascopy(p.parent, ROWS, "bid").rename(p), ",", 1, 0, 2, 5),
    "jforex": Sample(
        "EURUSD_1 Min_Ask_x.csv",
        lambda p: bf.dukascopy(p.parent, ROWS, "ask", "Time (EET)", "eet").rename(p), ",", 1, 0, 2, 5,
    ),
    "metatrader": Sample("EURUSD.csv", lambda p: bf.tab_export(p, ROWS), "\t", 1, 0, 3, 8),
    "table": Sample("EURUSD.csv", lambda p: bf.table_csv(p, ROWS), "|", 1, 0, 2, 5, MAP),
}  # fmt: skip


def field(index: Callable[[Sample], int], change: Callable[[str], str]) -> Callable[[Sample, list[str]], list[str]]:
    def edit(sample: Sample, lines: list[str]) -> list[str]:
        fields = lines[sample.head + AT - 1].split(sample.separator)
        fields[index(sample)] = change(fields[index(sample)])
        lines[sample.head + AT - 1] = sample.separator.join(fields)
        return lines

    return edit


def high(value: str) -> Callable[[Sample, list[str]], list[str]]:
    return field(lambda s: s.high, lambda _: value)


def fewer(sample: Sample, lines: list[str]) -> list[str]:
    lines[sample.head + AT - 1] = sample.separator.join(lines[sample.head + AT - 1].split(sample.separator)[:-2])
    return lines


def more(sample: Sample, lines: list[str]) -> list[str]:
    lines[sample.head + AT - 1] += sample.separator + "1"
    return lines


def cut(sample: Sample, lines: list[str]) -> list[str]:
    kept = lines[: sample.head + AT]
    return [*kept[:-1], kept[-1].rsplit(sample.separator, 3)[0]]


def junk(sample: Sample, lines: list[str]) -> list[str]:
    lines[sample.head + AT - 1] = "\x07\x1b"
    return lines


def long(sample: Sample, lines: list[str]) -> list[str]:
    lines[sample.head + AT - 1] = "7" * 5000
    return lines


def page(sample: Sample, lines: list[str]) -> list[str]:
    lines[sample.head + AT - 1] = "<html>"
    return lines


EDITS: dict[str, tuple[Callable[[Sample, list[str]], list[str]], str]] = {
    "no number": (high("1.1O"), "not a number"),
    "empty price": (high(""), "is empty"),
    "price 0": (high("0"), "high is 0"),
    "price NaN": (high("NaN"), "high is nan"),
    "price negative": (high("-1.1"), "high is -1.1"),
    "price infinite": (high("inf"), "high is inf"),
    "price 1e308": (high("1e308"), "high is 1e+308"),
    "negative volume": (field(lambda s: s.volume, lambda _: "-4"), "is -4"),
    "year 1650": (field(lambda s: s.time, lambda t: t.replace("2024", "1650")), "is not a time of the years"),
    "month 13": (field(lambda s: s.time, lambda t: t.replace("06", "33")), "is not a time of the years"),
    "no time": (field(lambda s: s.time, lambda _: "noon"), "is not a time"),
    "too few columns": (fewer, "are expected"),
    "too many columns": (more, "are expected"),
    "cut off in a line": (cut, "are expected"),
    "control characters": (junk, "not text"),
    "a long line": (long, "longer than 4096"),
    "a page inside": (page, "1 fields where"),
}


def refused(run: Run, project: Path, path: Path, where: str, what: str, *options: str) -> None:
    before = state(project)
    run("import", path, "--utc-offset=+00:00", "--json", *options)
    assert (run.error["code"], run.code) == ("BQX201", 4), run.err
    assert where in run.error["where"], run.error
    assert what in run.error["what"], run.error
    assert state(project) == before
    assert run.out == ""


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("damage", EDITS)
def test_damaged_lines(kind: str, damage: str, run: Run, project: Path, tmp_path: Path) -> None:
    sample, (edit, what) = TEXTS[kind], EDITS[damage]
    path = sample.write(tmp_path / sample.name)
    lines = edit(sample, path.read_text().splitlines())
    path.write_text("\n".join(lines) + "\n")
    refused(run, project, path, f"{sample.name}:{sample.head + AT}", what, *sample.options)


WHOLE: dict[str, tuple[Callable[[Sample, bytes], bytes], str]] = {
    "empty": (lambda s, d: b"", "empty"),
    "blank": (lambda s, d: b"\n\n\n", "empty"),
    "UTF-16": (lambda s, d: d.decode().encode("utf-16"), "zero bytes"),
    "binary": (lambda s, d: random.Random(1).randbytes(99_999), "not text"),
    "gzip": (lambda s, d: b"\x1f\x8b\x08\x00" + d[:99], "zero bytes"),
    "another table": (lambda s, d: b"a,b,c\n1,2,3\n", "a,b,c"),
    "a damaged zip": (lambda s, d: b"PK\x03\x04" + d[:99], "zip is damaged"),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("damage", WHOLE)
def test_files_that_are_something_else(kind: str, damage: str, run: Run, project: Path, tmp_path: Path) -> None:
    sample, (change, what) = TEXTS[kind], WHOLE[damage]
    path = sample.write(tmp_path / sample.name)
    path.write_bytes(change(sample, path.read_bytes()))
    if damage == "another table" and kind == "table":
        what = "no column 'when' among a, b, c"
    refused(run, project, path, f"{sample.name}:1", what, *sample.options)


@pytest.mark.parametrize("kind", [k for k, s in TEXTS.items() if s.head])
def test_a_header_alone(kind: str, run: Run, project: Path, tmp_path: Path) -> None:
    sample = TEXTS[kind]
    path = sample.write(tmp_path / sample.name)
    path.write_text(path.read_text().splitlines()[0] + "\n")
    refused(run, project, path, f"{sample.name}:1", "header but no bars", *sample.options)


# --- zips of HistData


def zipped(change: Callable[[bytes], bytes], *entries: tuple[str, bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "HISTDATA_COM_ASCII_EURUSD_M1202406.zip"
        text = bf.histdata(folder / "x.txt", ROWS).read_bytes()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in entries or (
                ("DAT_ASCII_EURUSD_M1_202406.csv", text),
                ("DAT_ASCII_EURUSD_M1_202406.txt", b"x"),
            ):
                archive.writestr(name, data)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def flip(data: bytes) -> bytes:
    out = bytearray(data)
    out[len(out) // 3] ^= 0xFF
    return bytes(out)


ZIPS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated": (zipped(lambda d: d[:-30]), "truncated"),
    "a flipped byte": (zipped(flip), "damaged"),
    "a bomb": (zipped(lambda d: d, ("a.csv", b"20240606 120000;1\n" * (MAX_ENTRY // 17))), "unpacks to"),
    "a report of another name": (zipped(lambda d: d, ("a.csv", b"1"), ("b.txt", b"2")), "2 files"),
    "two tables": (zipped(lambda d: d, ("a.csv", b"1"), ("b.csv", b"2")), "2 files"),
    "a report alone": (zipped(lambda d: d, ("a.txt", b"1")), "not a plain CSV name"),
    "climbing out": (zipped(lambda d: d, ("../a.csv", b"1")), "not a plain CSV name"),
    "nothing inside": (zipped(lambda d: d, ("folder/", b"")), "0 files"),
}


@pytest.mark.parametrize("damage", ZIPS)
def test_damaged_zips(damage: str, run: Run, project: Path, tmp_path: Path) -> None:
    make, what = ZIPS[damage]
    refused(run, project, make(tmp_path), "HISTDATA_COM_ASCII_EURUSD_M1202406.zip", what)


# --- candles


def candles(records: Sequence[tuple[int, ...]]) -> bytes:
    return lzma.compress(b"".join(struct.pack(">5if", *r) for r in records), lzma.FORMAT_ALONE, preset=1)


GOOD = [(60 * k, 110000, 110010, 109990, 110020, 3) for k in range(50)]
PACKED = candles(GOOD)


def record(**changed: float) -> bytes:
    names = ("second", "open", "close", "low", "high", "volume")
    bad = tuple(changed.get(n, v) for n, v in zip(names, GOOD[AT - 1], strict=True))
    return candles([*GOOD[: AT - 1], bad, *GOOD[AT:]])  # type: ignore[list-item]


CANDLES: dict[str, tuple[bytes, str, str]] = {
    "truncated": (PACKED[:-20], ":1", "truncated"),
    "cut to its head": (PACKED[:13], ":1", "truncated"),
    "a flipped byte": (PACKED[:20] + bytes([PACKED[20] ^ 0xFF]) + PACKED[21:], ":1", ""),
    "bytes after its end": (PACKED + b"more", ":1", ""),
    "a bomb": (lzma.compress(bytes(50 << 20), lzma.FORMAT_ALONE, preset=1), ":1", "more than the 1,440 candles"),
    "a dictionary of 4 GB": (PACKED[:1] + b"\x00\x00\xff\xff" + PACKED[5:], ":1", ""),
    "half a record": (lzma.compress(bytes(24 * 9 + 7), lzma.FORMAT_ALONE), ":record 10", "not to records of 24"),
    "ticks": (lzma.compress(bytes(20 * 9), lzma.FORMAT_ALONE), ":record 8", "180 bytes, not to records"),
    "nothing packed": (lzma.compress(b"", lzma.FORMAT_ALONE), ":record 1", "0 bytes"),
    "a page": (b"<html>busy</html>", ":1", "<html>"),
    "xz": (lzma.compress(b"x" * 240), ":1", "not a packed candle file"),
    "too large": (bytes([0x5D, 0, 0]) + bytes(2 << 20), "_min_1.bi5", "larger than"),
    "second beyond the day": (record(second=86_400), f":record {AT}", "86400 is not within a day"),
    "second before the day": (record(second=-60), f":record {AT}", "-60 is not within a day"),
    "price 0": (record(low=0), f":record {AT}", "low is 0"),
    "price negative": (record(close=-5), f":record {AT}", "close is -5e-05"),
    "volume NaN": (record(volume=float("nan")), f":record {AT}", "volume is nan"),
    "volume infinite": (record(volume=float("inf")), f":record {AT}", "volume is inf"),
    "volume negative": (record(volume=-1.0), f":record {AT}", "volume is -1"),
}


@pytest.mark.parametrize("damage", CANDLES)
def test_damaged_candles(damage: str, run: Run, project: Path, tmp_path: Path) -> None:
    data, where, what = CANDLES[damage]
    base = tmp_path / "EURUSD/2024/05/06"
    base.mkdir(parents=True)
    (base / "ASK_candles_min_1.bi5").write_bytes(PACKED)
    (base / "BID_candles_min_1.bi5").write_bytes(data)
    refused(
        run,
        project,
        tmp_path / "EURUSD",
        "BID_candles_min_1.bi5" if where == "_min_1.bi5" else f"BID_candles_min_1.bi5{where}",
        what,
    )


@pytest.mark.parametrize(
    "place", ["BID_candles_min_1.bi5", "EURUSD/2024/12/06/BID_candles_min_1.bi5", "EURUSD/2024/05/06/x.bi5"]
)
def test_candles_out_of_their_place(place: str, run: Run, project: Path, tmp_path: Path) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PACKED)
    refused(run, project, path, path.name, "must stand in its folders")


def test_candles_off_the_minute_go_to_quarantine_by_record(run: Run, tmp_path: Path) -> None:
    base = tmp_path / "EURUSD/2024/05/06"
    base.mkdir(parents=True)
    (base / "BID_candles_min_1.bi5").write_bytes(record(second=61))
    report = run("check", tmp_path / "EURUSD", "--utc-offset=+00:00", "--json").json["pairs"][0]
    (found,) = (f for f in report["findings"] if f["action"] == "quarantined")
    assert (found["kind"], found["count"]) == ("off-minute stamp", 1)
    assert found["places"][0]["where"].endswith(f"BID_candles_min_1.bi5:record {AT}")


# --- Parquet


def parquet(**columns: pl.Expr) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        frame = pl.read_parquet(bf.parquet(path, ROWS))
        frame.with_columns(**columns).write_parquet(path)

    return write


def at_row(value: object, name: str = "high") -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) == AT - 1).then(pl.lit(value)).otherwise(pl.col(name))


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: void(path.write_bytes(change(bf.parquet(path, ROWS).read_bytes())))


def framed(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    return lambda path: change(pl.read_parquet(bf.parquet(path, ROWS))).write_parquet(path)


def void(_: object) -> None:
    pass


PARQUETS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "truncated": (changed(lambda d: d[: len(d) // 2]), ":1", "damaged or truncated"),
    "without its foot": (changed(lambda d: d[:-4]), ":1", "damaged or truncated"),
    "magic only": (changed(lambda d: d[:4]), ":1", "damaged or truncated"),
    "junk pages": (changed(lambda d: d[:4] + random.Random(1).randbytes(900) + d[904:]), ":1", "damaged"),
    "junk foot": (changed(lambda d: d[:-200] + random.Random(2).randbytes(192) + d[-8:]), ":1", "damaged"),
    "no rows": (framed(lambda f: f.head(0)), ":row 1", "no rows"),
    "price 0": (parquet(high=at_row(0.0)), f":row {AT}", "high is 0"),
    "price NaN": (parquet(high=at_row(float("nan"))), f":row {AT}", "high is nan"),
    "price infinite": (parquet(high=at_row(float("inf"))), f":row {AT}", "high is inf"),
    "price null": (parquet(high=at_row(None)), f":row {AT}", "high is empty"),
    "price negative": (parquet(low=at_row(-1.0, "low")), f":row {AT}", "low is -1"),
    "volume negative": (parquet(volume=at_row(-1, "volume")), f":row {AT}", "volume is -1"),
    "prices as text": (parquet(high=pl.col("high").cast(pl.String)), ":row 1", "of type String"),
    "time null": (parquet(timestamp=at_row(None, "timestamp")), f":row {AT}", "ts is empty"),
    "year 1650": (parquet(timestamp=pl.col("timestamp").dt.offset_by("-374y")), ":row 1", "years"),
    "days instead of times": (parquet(timestamp=pl.col("timestamp").dt.date()), ":row 1", "of type Date"),
    "no close": (framed(lambda f: f.drop("close")), ":row 1", "do not say which is what"),
    "two highs but for case": (framed(lambda f: f.with_columns(HIGH=1.0)), ":row 1", "do not say which is what"),
}


@pytest.mark.parametrize("damage", PARQUETS)
def test_damaged_parquet(damage: str, run: Run, project: Path, tmp_path: Path) -> None:
    write, where, what = PARQUETS[damage]
    write(tmp_path / "EURUSD.parquet")
    refused(run, project, tmp_path / "EURUSD.parquet", f"EURUSD.parquet{where}", what)
