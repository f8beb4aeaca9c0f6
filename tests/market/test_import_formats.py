"""Every format gives the same bars; formats, pairs and sides are told apart by what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

import bar_files as bf
from bqx.base.errors import InputError, UsageError
from bqx.market.bars import BARS_SCHEMA
from bqx.market.calendar import Calendar
from bqx.market.importers.naming import pair_of
from bqx.market.importers.plan import plan_jobs
from bqx.market.importers.read import ReadOptions, SourceBars, read_source

ROWS = bf.make_rows("2024-06-06T12:00", 5)
CALENDAR = Calendar.load()
Writer = Callable[[Path, Sequence[bf.Row]], object]
WRITERS: dict[str, tuple[str, Writer]] = {
    "metatrader": ("metatrader", lambda d, rows: bf.metatrader(d / "EURUSD_M1.csv", rows)),
    "tab": ("metatrader", lambda d, rows: bf.tab_export(d / "EURUSD_M1_202406.csv", rows)),
    "classic": ("metatrader", lambda d, rows: bf.classic(d / "EURUSD1.csv", rows)),
    "semicolons": ("metatrader", lambda d, rows: bf.semicolons(d / "DAT_ASCII_EURUSD_M1_2024.csv", rows)),
    "fxcm": ("fxcm", lambda d, rows: bf.fxcm(d, rows)),
    "lean": ("lean", lambda d, rows: bf.lean(d, rows)),
}


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
    assert_frame_equal(got, bf.prices(ROWS), check_exact=kind == "metatrader", rel_tol=0, abs_tol=1e-12)
    if kind == "metatrader":
        assert found.frame["volume"].to_list() == [float(r.v) for r in ROWS]
        assert found.frame["bid_open"].null_count() == found.frame.height
    else:
        assert found.frame["volume"].null_count() == found.frame.height
        assert found.frame["ask_close"].to_list() == [float(f"{r.c + r.half:.5f}") for r in ROWS]
    assert found.source.price_side == ("vendor" if kind == "metatrader" else "mid of bid+ask")


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


def test_unknown_format_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format"):
        plan_jobs([tmp_path], format="parquet")
    with pytest.raises(InputError, match="no bars"):
        plan_jobs([tmp_path])
    with pytest.raises(InputError, match="no such file"):
        plan_jobs([tmp_path / "absent.csv"])
    with pytest.raises(UsageError, match="no files"):
        plan_jobs([])
