"""Every format gives the same bars; formats, pairs and sides are told apart by what is there."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

import bar_files as bf
from bqx.base.errors import ClockError, InputError, UsageError
from bqx.market.bars import BARS_SCHEMA
from bqx.market.calendar import Calendar
from bqx.market.importers.naming import pair_of
from bqx.market.importers.plan import plan_jobs
from bqx.market.importers.read import ReadOptions, SourceBars, read_job, read_source

ROWS = bf.make_rows("2024-06-06T12:00", 5)
CALENDAR = Calendar.load()
Writer = Callable[[Path, Sequence[bf.Row]], object]
WRITERS: dict[str, tuple[str, Writer]] = {
    "metatrader": ("metatrader", lambda d, rows: bf.metatrader(d / "EURUSD_M1.csv", rows)),
    "tab": ("metatrader", lambda d, rows: bf.tab_export(d / "EURUSD_M1_202406.csv", rows)),
    "classic": ("metatrader", lambda d, rows: bf.classic(d / "EURUSD1.csv", rows)),
    "histdata": ("histdata", lambda d, rows: bf.histdata(d / "DAT_ASCII_EURUSD_M1_202406.csv", rows)),
    "fxcm": ("fxcm", lambda d, rows: bf.fxcm(d, rows)),
    "lean": ("lean", lambda d, rows: bf.lean(d, rows)),
    "dukascopy": ("dukascopy", lambda d, rows: [bf.dukascopy(d, rows, side) for side in ("bid", "ask")]),
    "bi5": ("bi5", lambda d, rows: bf.bi5(d, rows)),
    "parquet": ("table", lambda d, rows: bf.parquet(d / "EURUSD.parquet", rows)),
}
QUOTED = ("fxcm", "lean", "dukascopy", "bi5")


def read_one(folder: Path, **options: object) -> SourceBars:
    (found,) = read_source([folder], CALENDAR, **options)
    return found


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_bars(tmp_path: Path, name: str) -> None:
    kind, write = WRITERS[name]
    write(tmp_path, ROWS)
    found = read_one(tmp_path)
    assert found.report.format == kind
    assert found.pair == "eurusd"
    assert dict(found.frame.schema) == BARS_SCHEMA
    got = found.frame.select("ts_utc", "open", "high", "low", "close")
    assert_frame_equal(got, bf.prices(ROWS), check_exact=kind not in QUOTED, rel_tol=0, abs_tol=1e-12)
    if kind in ("metatrader", "table", "bi5"):
        sides = 2 if kind == "bi5" else 1  # the volumes of both sides are added
        assert found.frame["volume"].to_list() == [float(r.v) * sides for r in ROWS]
    elif kind != "dukascopy":
        assert found.frame["volume"].null_count() == found.frame.height
    if kind in QUOTED:
        assert found.frame["ask_close"].to_list() == [float(f"{r.c + r.half:.5f}") for r in ROWS]
        assert found.source.price_side == "mid of bid+ask"
    else:
        assert found.frame["bid_open"].null_count() == found.frame.height
        assert found.source.price_side == ("bid" if kind == "histdata" else "vendor")


def test_the_format_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    bf.metatrader(tmp_path / "lean_fxcm_EURUSD.txt", ROWS)
    assert read_one(tmp_path).report.format == "metatrader"


def test_a_zip_called_csv_is_still_a_zip(tmp_path: Path) -> None:
    base = bf.lean(tmp_path, ROWS)
    for path in base.iterdir():
        path.rename(path.with_suffix(".csv"))
    assert read_one(tmp_path).report.format == "lean"


def test_source_record_names_files_by_hash_and_holds_no_folder(tmp_path: Path) -> None:
    bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS)
    record = read_one(tmp_path, options=ReadOptions(vendor="Acme", licence="CC0")).source.as_dict()
    (file,) = record["files"]
    assert file["name"] == "EURUSD_M1.csv"
    assert len(file["sha256"]) == 64
    assert file["bytes"] == (tmp_path / "EURUSD_M1.csv").stat().st_size
    assert (record["vendor"], record["licence"], record["simulated"]) == ("Acme", "CC0", False)
    assert str(tmp_path) not in str(record)


def test_a_folder_of_several_pairs(tmp_path: Path) -> None:
    for pair in ("EURUSD", "GBPUSD", "USDJPY"):
        bf.metatrader(tmp_path / f"{pair}_M1.csv", ROWS)
    assert [s.pair for s in read_source([tmp_path], CALENDAR)] == ["eurusd", "gbpusd", "usdjpy"]


def test_files_of_one_pair_are_joined_in_the_order_of_time(tmp_path: Path) -> None:
    bf.metatrader(tmp_path / "b_EURUSD.csv", ROWS[:2500])
    bf.metatrader(tmp_path / "a_EURUSD.csv", ROWS[2500:])
    found = read_one(tmp_path)
    assert found.report.count("disorder") == 0
    assert_frame_equal(found.frame.select("ts_utc", "open", "high", "low", "close"), bf.prices(ROWS))


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("EURUSD_M1.csv", "eurusd"),
        ("eur-usd.csv", "eurusd"),
        ("EURUSDm1.csv", "eurusd"),
        ("gbpusd-m1-bid-2012-02.csv", "gbpusd"),
        ("DAT_MT_USDJPY_M1_2020.csv", "usdjpy"),
    ],
)
def test_pair_from_the_name(name: str, pair: str) -> None:
    assert pair_of(Path("x") / name, None) == pair


@pytest.mark.parametrize("name", ["prices.csv", "EURUSD_GBPUSD.csv", "USDEUR.csv"])
def test_a_name_without_one_clear_pair_asks_for_it(name: str) -> None:
    with pytest.raises(UsageError, match=r"pair") as caught:
        pair_of(Path("x") / name, None)
    assert "--pair" in str(caught.value)
    assert pair_of(Path("x") / name, "EUR/USD") == "eurusd"


def test_one_fxcm_side_alone_is_refused(tmp_path: Path) -> None:
    _, ask = bf.fxcm(tmp_path, ROWS)
    ask.unlink()
    with pytest.raises(UsageError, match="no ask side"):
        plan_jobs([tmp_path])


def test_fxcm_sides_by_option(tmp_path: Path) -> None:
    bid, ask = bf.fxcm(tmp_path, ROWS)
    one, two = bid.rename(tmp_path / "one.csv"), ask.rename(tmp_path / "two.csv")
    with pytest.raises(UsageError, match="--bid"):
        plan_jobs([tmp_path], pair="EURUSD")
    (job,) = plan_jobs([], pair="EURUSD", bid=one, ask=two)
    assert job.read().frame.height == len(ROWS)
    with pytest.raises(UsageError, match="come together"):
        plan_jobs([], pair="EURUSD", bid=one)


def test_fxcm_offsets_in_the_file_are_applied(tmp_path: Path) -> None:
    for path in bf.fxcm(tmp_path, [r._replace(ts=r.ts.replace(tzinfo=None)) for r in ROWS]):
        text = path.read_text().replace("+00:00", "+02:00")
        path.write_text(text)
    jobs = plan_jobs([tmp_path])
    stamp = jobs[0].read().frame["stamp"][0]
    assert (ROWS[0].ts.replace(tzinfo=None) - stamp).total_seconds() == 2 * 3600


def test_histdata_zip_with_its_report_states_its_clock(tmp_path: Path) -> None:
    name = "DAT_ASCII_EURUSD_M1_202406"
    text = bf.histdata(tmp_path / "x.csv", ROWS).read_text()
    (tmp_path / "x.csv").unlink()
    base = tmp_path / "HISTDATA_COM_ASCII_EURUSD_M1202406"
    with zipfile.ZipFile(base.with_suffix(".zip"), "w") as archive:
        archive.writestr(f"{name}.csv", text)
        archive.writestr(f"{name}.txt", "Status Report\nGap of 120s found between 20240606000000 and 20240606000200.\n")
    base.with_suffix(".txt").write_text("Status Report\n")
    found = read_one(tmp_path)
    assert (found.report.format, found.pair, found.report.rows) == ("histdata", "eurusd", len(ROWS))
    assert (found.report.clock["clock"], found.report.clock["how"]) == ("UTC-05:00", "stated by the format")
    assert found.frame["ts_utc"][0] == ROWS[0].ts
    assert found.frame["volume"].null_count() == len(ROWS)


def test_histdata_rows_can_still_be_read_as_metatrader(tmp_path: Path) -> None:
    bf.histdata(tmp_path / "EURUSD.csv", [r._replace(ts=bf.ahead(5)(r.ts)) for r in ROWS])
    found = read_one(tmp_path, format="metatrader")
    assert (found.report.clock["clock"], found.source.price_side) == ("UTC", "vendor")


def test_histdata_on_another_clock_than_its_own_is_refused(tmp_path: Path) -> None:
    bf.histdata(tmp_path / "EURUSD.csv", [r._replace(ts=bf.ahead(5)(r.ts)) for r in ROWS])
    with pytest.raises(ClockError, match="read as UTC-05:00"):
        read_one(tmp_path)


def test_the_spread_of_metatrader_is_told_and_used_only_when_asked_for(tmp_path: Path) -> None:
    path = bf.tab_export(tmp_path / "EURUSD.csv", ROWS)
    plain = read_one(tmp_path)
    (told,) = (f for f in plain.report.findings if f.kind == "spread not used")
    assert (told.count, told.action) == (len(ROWS), "noted")
    assert told.note.startswith("12 to 12 points, median 12")
    (job,) = plan_jobs([path], spread="ask")
    quoted = read_job(job, CALENDAR, ReadOptions())
    assert quoted.source.price_side == "mid of bid+spread"
    assert quoted.frame["bid_close"].to_list() == [r.c for r in ROWS]
    half = quoted.frame["ask_high"] - quoted.frame["high"]
    assert half.to_list() == pytest.approx([6e-5] * len(ROWS), abs=1e-12)
    (bare,) = plan_jobs([bf.metatrader(tmp_path / "b_EURUSD.csv", ROWS)], spread="ask")
    with pytest.raises(InputError, match="no spread column"):
        bare.read()


def test_unknown_format_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format"):
        plan_jobs([tmp_path], format="parquet")
    with pytest.raises(InputError, match="no bars"):
        plan_jobs([tmp_path])
    with pytest.raises(InputError, match="no such file"):
        plan_jobs([tmp_path / "absent.csv"])
    with pytest.raises(UsageError, match="no files"):
        plan_jobs([])
