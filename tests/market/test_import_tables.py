"""Any CSV or Parquet by a map of its columns."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import bar_files as bf
from bqx.base.errors import InputError, UsageError
from bqx.market.calendar import Calendar
from bqx.market.importers.layout import Layout, parse_layout
from bqx.market.importers.plan import plan_jobs
from bqx.market.importers.read import ReadOptions, SourceBars, read_job

CALENDAR = Calendar.load()
ROWS = bf.make_rows("2024-06-06T12:00", 5)
MAP = "ts=when,open=o,high=h,low=l,close=c,volume=ticks"


def read(path: Path, layout: Layout | None = None) -> SourceBars:
    (job,) = plan_jobs([path], layout=layout, pair="eurusd")
    assert job.format == "table"
    return read_job(job, CALENDAR, ReadOptions())


def agree(found: SourceBars) -> None:
    assert_frame_equal(found.frame.select("ts_utc", "open", "high", "low", "close"), bf.prices(ROWS))


@pytest.mark.parametrize("sep", ["|", ",", ";", "\t"])
def test_a_map_on_the_command_line(tmp_path: Path, sep: str) -> None:
    head = sep.join(["when", "o", "h", "l", "c", "ticks", "remark"])
    path = bf.table_csv(tmp_path / "any.csv", ROWS, head=head, sep=sep)
    found = read(path, parse_layout([MAP], ts_format="%m/%d/%Y %H:%M"))
    agree(found)
    assert found.frame["volume"].to_list() == [float(r.v) for r in ROWS]
    assert found.report.clock["how"] == "weekly close"


def test_a_map_file_and_options_over_it(tmp_path: Path) -> None:
    path = bf.table_csv(tmp_path / "any.csv", ROWS)
    file = tmp_path / "map.toml"
    file.write_text(
        'ts_format = "%d/%m/%Y %H:%M"\ndelimiter = "|"\nside = "bid"\n'
        '[columns]\nts = "when"\nopen = "o"\nhigh = "h"\nlow = "l"\nclose = "o"\n'
    )
    layout = parse_layout(["close=c"], file, ts_format="%m/%d/%Y %H:%M", side="ask")
    found = read(path, layout)
    agree(found)
    assert found.source.price_side == "ask"


def test_columns_by_number_in_a_file_without_names(tmp_path: Path) -> None:
    text = bf.table_csv(tmp_path / "any.csv", ROWS).read_text().split("\n", 1)[1]
    (tmp_path / "any.csv").write_text(text)
    agree(
        read(tmp_path / "any.csv", parse_layout(["ts=#1,open=#2,high=#3,low=#4,close=#5"], ts_format="%m/%d/%Y %H:%M"))
    )


def test_quotation_marks_and_date_and_time_apart(tmp_path: Path) -> None:
    path = tmp_path / "any.csv"
    body = (f'"{r.ts:%Y-%m-%d}","{r.ts:%H:%M:%S}",{r.o},{r.h},{r.l},"{r.c}"\n' for r in ROWS)
    path.write_text('"Date","Time","Open","High","Low","Close"\n' + "".join(body))
    agree(read(path))  # the names leave no doubt


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_seconds_since_1970_are_utc_and_say_so(tmp_path: Path, unit: str, scale: int) -> None:
    path = tmp_path / "any.csv"
    body = (f"{int(r.ts.timestamp()) * scale},{r.o},{r.h},{r.l},{r.c}\n" for r in ROWS)
    path.write_text("ts,open,high,low,close\n" + "".join(body))
    found = read(path)
    agree(found)
    assert found.report.clock["how"] == "stated in the file"
    layout = parse_layout(ts_format=f"epoch_{unit}")
    agree(read(path, layout))


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", None])
def test_parquet_times_with_and_without_a_zone(tmp_path: Path, zone: str | None, unit: str) -> None:
    found = read(bf.parquet(tmp_path / "any.parquet", ROWS, zone, unit))
    agree(found)
    assert found.report.clock["how"] == ("stated in the file" if zone else "weekly close")


def test_quotes_by_a_map_give_mids(tmp_path: Path) -> None:
    names = [f"{side}_{c}" for side in ("bid", "ask") for c in ("open", "high", "low", "close")]
    values = [[*bf.side_prices(r, "bid"), *bf.side_prices(r, "ask")] for r in ROWS]
    frame = pl.DataFrame(values, schema=names, orient="row").with_columns(t=pl.Series([r.ts for r in ROWS]))
    frame.write_parquet(tmp_path / "q.parquet")
    found = read(tmp_path / "q.parquet", parse_layout(["ts=t", *(f"{n}={n}" for n in names)]))
    assert found.source.price_side == "mid of bid+ask"
    got = found.frame.select("ts_utc", "open", "high", "low", "close")
    assert_frame_equal(got, bf.prices(ROWS), check_exact=False, rel_tol=0, abs_tol=1e-12)


def test_quarantined_rows_of_a_parquet_file_are_quoted(tmp_path: Path) -> None:
    rows = [*ROWS[:9], ROWS[9]._replace(h=1.0), *ROWS[10:]]
    found = read(bf.parquet(tmp_path / "any.parquet", rows))
    (row,) = found.quarantine.rows(named=True)
    assert (row["line"], row["reason"]) == (10, "order violation")
    assert f",{ROWS[9].o},1.0,{ROWS[9].l}," in row["text"]


def test_a_day_and_a_month_that_could_be_swapped_are_not_guessed(tmp_path: Path) -> None:
    path = bf.table_csv(tmp_path / "any.csv", ROWS)
    (job,) = plan_jobs([path], layout=parse_layout([MAP]), pair="eurusd")
    with pytest.raises(InputError, match="leaves no doubt") as caught:
        job.read()
    assert "--ts-format" in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("open=o", "names no time"),
        ("ts=t,open=o", "lacks high, low, close"),
        ("ts=t,opne=o", "opne"),
        ("ts", "maps nothing"),
        ("ts=t,bid_open=b", "lacks bid_high"),
    ],
)
def test_maps_that_cannot_work_say_why(given: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        parse_layout([given])


@pytest.mark.parametrize("text", ["columns = 3", "colums = {}", "[columns]\nts = 3", "ts_format", "side = 'middle'"])
def test_map_files_that_cannot_work(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(UsageError):
        parse_layout([], tmp_path / "m.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        parse_layout([], tmp_path / "absent.toml")
