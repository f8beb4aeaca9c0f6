"""Dukascopy's CSV and candle files: clocks in headers, sides in names, padding without ticks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

import bar_files as bf
from bqx.base.errors import InputError
from bqx.market.calendar import Calendar
from bqx.market.importers.bi5 import day_path, place_of
from bqx.market.importers.plan import plan_jobs
from bqx.market.importers.read import ReadOptions, SourceBars, read_job, read_source

CALENDAR = Calendar.load()
ROWS = bf.make_rows("2024-06-06T12:00", 5)
PRICES = ["ts_utc", "open", "high", "low", "close"]


def read_one(folder: Path) -> SourceBars:
    (found,) = read_source([folder], CALENDAR)
    return found


@pytest.mark.parametrize(
    ("head", "form", "clock", "how"),
    [
        ("Gmt time", "gmt", "UTC", "stated in the file"),
        ("Local time", "local", "UTC", "stated in the file"),
        ("Time (EET)", "eet", "Europe/Athens", "stated in the file"),
        ("Time (UTC)", "gmt", "UTC", "stated in the file"),
    ],
)
def test_the_header_says_the_clock(tmp_path: Path, head: str, form: str, clock: str, how: str) -> None:
    bf.dukascopy(tmp_path, ROWS, "bid", head, form)
    found = read_one(tmp_path)
    assert (found.report.clock["clock"], found.report.clock["how"]) == (clock, how)
    assert found.frame["ts_utc"].to_list() == [r.ts for r in ROWS]
    assert found.frame["close"].to_list() == [bf.side_prices(r, "bid")[3] for r in ROWS]


def test_a_side_alone_is_kept_as_that_side(tmp_path: Path) -> None:
    bf.dukascopy(tmp_path, ROWS, "ask")
    assert read_one(tmp_path).source.price_side == "ask"
    (tmp_path / "x").mkdir()
    bf.dukascopy(tmp_path, ROWS, "ask").rename(tmp_path / "x" / "EURUSD.csv")
    assert read_one(tmp_path / "x").source.price_side == "vendor"


def test_sides_by_option(tmp_path: Path) -> None:
    paths = [bf.dukascopy(tmp_path, ROWS, s).rename(tmp_path / f"{n}_EURUSD.csv") for s, n in (("bid", 1), ("ask", 2))]
    (job,) = plan_jobs([], bid=paths[0], ask=paths[1])
    found = read_job(job, CALENDAR, ReadOptions())
    assert (found.report.format, found.source.price_side) == ("dukascopy", "mid of bid+ask")


def test_months_of_both_sides_are_joined_and_a_missing_side_is_quarantined(tmp_path: Path) -> None:
    for part in (ROWS[:3000], ROWS[3000:]):
        for side in ("bid", "ask"):
            rows = part[:-7] if side == "ask" else part
            bf.dukascopy(tmp_path, rows, side).rename(tmp_path / f"EURUSD_{side}_{part[0].ts:%d%H%M}.csv")
    found = read_one(tmp_path)
    assert found.report.count("no ask side") == 14
    assert found.report.bars == len(ROWS) - 14


def test_candles_and_csv_give_the_same_bars(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    b.mkdir()
    bf.bi5(a, ROWS)
    for side in ("bid", "ask"):
        bf.dukascopy(b, ROWS, side)
    one, other = read_one(a), read_one(b)
    assert one.source.vendor == other.source.vendor == "dukascopy"
    assert_frame_equal(one.frame.drop("volume"), other.frame.drop("volume"))


@pytest.mark.parametrize("form", ["bi5", "csv"])
def test_padding_is_left_out_and_counted_apart(tmp_path: Path, form: str) -> None:
    """Weekend minutes are flat candles; so are ten quiet minutes of a Thursday."""
    quiet = [*ROWS[:100], *ROWS[110:]]
    whole = bf.padded(quiet)
    if form == "bi5":
        bf.bi5(tmp_path, whole)
    else:
        bf.dukascopy(tmp_path, whole, "bid")
        bf.dukascopy(tmp_path, whole, "ask")
    found = read_one(tmp_path)
    report = found.report
    last = CALENDAR.grid(*(int(t.timestamp()) // 60 for t in (ROWS[-1].ts, whole[-1].ts)))
    tail = len(last) - 1 + bool(CALENDAR.is_open(last.minute[-1:] + 1)[0])
    assert report.count("padding in open hours") == 10 + tail
    assert report.count("padding on closed minutes") == len(whole) - len(quiet) - 10 - tail
    assert (report.rows, report.bars, report.quarantined) == (len(whole), len(quiet), 0)
    assert report.clock["agreeing"] == report.clock["weekly_closes"] == 1
    assert found.frame["ts_utc"].to_list() == [r.ts for r in quiet]


def test_a_flat_candle_at_a_new_price_or_with_volume_is_a_bar(tmp_path: Path) -> None:
    flat = ROWS[50]._replace(o=1.2, h=1.2, l=1.2, c=1.2, v=0)
    same = ROWS[60]._replace(o=ROWS[59].c, h=ROWS[59].c, l=ROWS[59].c, c=ROWS[59].c, v=3)
    bf.bi5(tmp_path, [*ROWS[:50], flat, *ROWS[51:60], same, *ROWS[61:]])
    assert read_one(tmp_path).report.bars == len(ROWS)


def test_yen_pairs_have_points_of_a_thousandth(tmp_path: Path) -> None:
    base = tmp_path / "USDJPY/2024/05/06"
    base.mkdir(parents=True)
    rows = [r._replace(o=155.123, h=155.2, l=155.1, c=155.15, half=0.0) for r in ROWS[:30]]
    (base / "BID_candles_min_1.bi5").write_bytes(bf.bi5_day(rows, "bid", 1e3))
    (job,) = plan_jobs([tmp_path])
    assert job.pair == "usdjpy"
    assert job.read().frame["open"].unique().to_list() == [155.123]


def test_days_without_candles_are_empty_files(tmp_path: Path) -> None:
    pair = bf.bi5(tmp_path, ROWS)
    for side in ("BID", "ASK"):
        (pair / "2024/05/08").mkdir(parents=True, exist_ok=True)
        (pair / "2024/05/08" / f"{side}_candles_min_1.bi5").write_bytes(b"")
    assert read_one(tmp_path).report.bars == len(ROWS)
    with pytest.raises(InputError, match="files are empty"):
        read_source([pair / "2024/05/08"], CALENDAR)


def test_months_are_counted_from_zero(tmp_path: Path) -> None:
    assert day_path("eurusd", date(2024, 1, 31), "bid") == "EURUSD/2024/00/31/BID_candles_min_1.bi5"
    assert place_of(tmp_path / day_path("usdjpy", date(2023, 12, 1), "ask")) == ("usdjpy", date(2023, 12, 1), "ask")
    for wrong in ("EURUSD/2024/12/01/BID_candles_min_1.bi5", "EURUSD/2024/01/30/BID_candles_min_1.bi5", "x.bi5"):
        with pytest.raises(InputError, match="in its folders"):
            place_of(tmp_path / wrong)


def test_only_padding_is_no_market(tmp_path: Path) -> None:
    bf.bi5(tmp_path, bf.padded(ROWS[:1], ROWS[300].ts)[1:])
    with pytest.raises(InputError, match="all 299 candles are padding"):
        read_one(tmp_path)
