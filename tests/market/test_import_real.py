"""The real files of the shared data folder: what the importers must find in them.

The folder is `BQX_REAL_DATA`, or `../shared/data` beside the repository.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import bar_files as bf
from bqx.base.errors import ClockError
from bqx.market.calendar import Calendar
from bqx.market.clockmatch import match_offset
from bqx.market.fileclock import FileClock
from bqx.market.importers.bi5 import day_path
from bqx.market.importers.layout import parse_layout
from bqx.market.importers.plan import plan_jobs
from bqx.market.importers.read import ReadOptions, SourceBars, read_job, read_source

CALENDAR = Calendar.load()
EST = ReadOptions(FileClock.parse("-05:00", None))


@pytest.fixture(scope="module")
def data() -> Path:
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("BQX_REAL_DATA", default))
    if not (folder / "metatrader").is_dir():
        pytest.skip(f"real bars are not at {folder}; set BQX_REAL_DATA to their folder")
    return folder


def read(path: Path, options: ReadOptions | None = None) -> SourceBars:
    (found,) = read_source([path], CALENDAR, options=options)
    report = found.report
    assert report.rows == report.bars + report.quarantined == found.frame.height + found.quarantine.height
    return found


@pytest.mark.real_data
def test_metatrader(data: Path) -> None:
    report = read(data / "metatrader").report
    assert (report.pair, report.format, report.rows, report.bars) == ("eurusd", "metatrader", 50_000, 50_000)
    assert (report.first, report.last) == ("2020-08-27T15:13:00+00:00", "2020-10-15T14:59:00+00:00")
    fridays = ("2020-08-28", "2020-09-04", "2020-09-11", "2020-09-18", "2020-09-25", "2020-10-02", "2020-10-09")
    assert tuple(w[4:14] for w in report.weekends) == fridays
    assert (report.clock["clock"], report.clock["weekly_closes"], report.clock["agreeing"]) == ("UTC", 7, 7)
    # 5 weeks and more of open minutes less 50,000 bars, counted by the calendar alone
    start, end = (int(t.timestamp()) // 60 for t in (_utc(report.first), _utc(report.last)))
    open_minutes = CALENDAR.ordinal(end) - CALENDAR.ordinal(start) + 1
    assert report.gaps.fills + report.gaps.unfilled == open_minutes - 50_000 == 387
    assert {f.kind for f in report.findings} == {"jump"}


@pytest.mark.real_data
def test_fxcm_crossed_quotes_are_counted_by_field(data: Path) -> None:
    found = read(data / "fxcm")
    report = found.report
    assert (report.pair, report.format, report.rows) == ("gbpusd", "fxcm", 30_117)
    assert report.crossed_fields == {"open": 347, "high": 523, "low": 254, "close": 347}
    crossed = next(f for f in report.findings if f.kind == "crossed quote")
    assert (crossed.count, crossed.action) == (1203, "kept")
    assert crossed.places[0].where.endswith("gbpusd-m1-bid-2012-02.csv:425")
    assert report.clock["agreeing"] == report.clock["weekly_closes"] == 4
    assert report.last == "2012-03-01T00:00:00+00:00"
    strict = read(data / "fxcm", ReadOptions(crossed="quarantine"))
    assert strict.report.quarantined == 1203


@pytest.mark.real_data
def test_lean_oanda_is_utc_and_uncrossed(data: Path) -> None:
    report = read(data / "lean" / "forex" / "oanda").report
    assert report.crossed_fields == dict.fromkeys(("open", "high", "low", "close"), 0)
    assert (report.clock["clock"], report.clock["agreeing"]) == ("UTC", 2)
    assert "2018-04-03" in report.clock["notes"][0]


@pytest.mark.real_data
def test_lean_fxcm_is_five_hours_behind_and_says_so(data: Path) -> None:
    folder = data / "lean" / "forex" / "fxcm"
    with pytest.raises(ClockError, match="Fri 12:00 New York") as caught:
        read(folder)
    assert (caught.value.fix or "").startswith("use --utc-offset=-05:00")
    assert (caught.value.where or "").endswith("20140502_eurusd_minute_quote.csv:958")
    report = read(folder, EST).report
    assert report.crossed_fields == {"open": 746, "high": 622, "low": 585, "close": 436}
    assert {f.kind: f.count for f in report.findings if f.action == "quarantined"} == {"outside market hours": 177}
    assert next(f.places[0].ts for f in report.findings if f.action == "quarantined")[:13] == "2014-05-04T19"


@pytest.mark.real_data
@pytest.mark.parametrize("days", ["201405", "201804"])
def test_returns_of_the_two_venues_prove_the_offset(data: Path, days: str) -> None:
    """An independent witness: FXCM's minutes agree with Oanda's five hours later, in 2018 as in 2014."""
    base = data / "lean" / "forex"
    fxcm, oanda = (
        read_source(sorted((base / v / "minute" / "eurusd").glob(f"{days}*.zip")), CALENDAR, options=utc)[0].frame
        for v, utc in (("fxcm", ReadOptions(FileClock.utc(), trust=True)), ("oanda", ReadOptions(FileClock.utc())))
    )
    minutes = [f["ts_utc"].to_physical().to_numpy() // 60_000_000 for f in (fxcm, oanda)]
    found = match_offset(minutes[0], fxcm["close"].to_numpy(), minutes[1], oanda["close"].to_numpy())
    assert found is not None
    assert found.offset == -300
    assert found.correlation > 0.95 > 0.2 > found.rival


@pytest.mark.real_data
@pytest.mark.parametrize(("venue", "days"), [("fxcm", "2011"), ("fxcm", "2018"), ("oanda", "2018")])
def test_days_without_a_weekly_close_are_not_guessed(data: Path, venue: str, days: str) -> None:
    files = sorted((data / "lean" / "forex" / venue / "minute" / "eurusd").glob(f"{days}*.zip"))
    with pytest.raises(ClockError, match="not established"):
        read_source(files, CALENDAR)


def _utc(text: str | None) -> datetime:
    return datetime.fromisoformat(text or "")


@pytest.mark.real_data
def test_a_table_by_map_gives_what_the_metatrader_importer_gives(data: Path) -> None:
    (path,) = (data / "metatrader").glob("*.csv")
    (job,) = plan_jobs([path], layout=parse_layout(["ts=#1,open=#2,high=#3,low=#4,close=#5,volume=#6"]))
    found = read_job(job, CALENDAR, ReadOptions())
    assert found.report.format == "table"
    assert found.frame.equals(read(path).frame)


@pytest.mark.real_data
@pytest.mark.parametrize("form", ["bi5", "dukascopy"])
def test_real_quotes_packed_as_dukascopy_packs_them_come_back(data: Path, form: str, tmp_path: Path) -> None:
    """No real file of that vendor is at hand: FXCM's minutes, crossed quotes and all, in its formats."""
    real = read(data / "fxcm")
    names = [f"{side}_{c}" for side in ("bid", "ask") for c in ("open", "high", "low", "close")]
    columns = [pl.col(n).round(5) for n in names]
    for day in real.frame.select("ts_utc", *columns, day=pl.col("ts_utc").dt.date()).partition_by("day"):
        when = day["ts_utc"][0].date()
        for side in ("bid", "ask"):
            rows = day.select("ts_utc", *[f"{side}_{c}" for c in ("open", "high", "low", "close")]).rows()
            if form == "bi5":
                path = tmp_path / day_path("gbpusd", when, side)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bf.pack([(t, *(round(x * 1e5) for x in ohlc), 1.5) for t, *ohlc in rows]))
            else:
                body = (
                    f"{t:%d.%m.%Y %H:%M:%S}.000," + ",".join(f"{x:.5f}" for x in ohlc) + ",1.5\n" for t, *ohlc in rows
                )
                path = tmp_path / f"GBPUSD_Candlestick_1_M_{side.upper()}_{when:%d.%m.%Y}.csv"
                path.write_text("Gmt time,Open,High,Low,Close,Volume\n" + "".join(body))
    found = read(tmp_path)
    assert found.report.clock["agreeing"] == 4
    assert found.report.count("crossed quote") == 1203
    want = real.frame.select("ts_utc", *columns)
    assert_frame_equal(found.frame.select("ts_utc", *names), want, check_exact=True)
