"""The MetaTrader file people have: imported by `--format auto`, built, verified, queried."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from bqx.cli.main import root
from bqx.features.catalogue import datasets

REAL = Path(os.environ.get("BQX_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = REAL / "metatrader" / "EURUSD_M1.csv"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not FILE.is_file(), reason="the real bars are not beside the project; set BQX_REAL_DATA"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "eurusd"
    for arguments in (
        ["init", str(folder), "--pairs", "eurusd"],
        ["-C", str(folder), "bars", "import", str(FILE)],
        ["-C", str(folder), "build", "run"],
    ):
        ran = CliRunner().invoke(root, arguments, catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
    return folder


def bqx(project: Path, *arguments: str) -> object:
    ran = CliRunner().invoke(root, ["-C", str(project), *arguments, "--json"], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_report_names_the_seven_weekends(project: Path) -> None:
    (report,) = project.glob("imports/*/report.md")
    text = report.read_text(encoding="utf-8")
    assert "7 closures with bars on both sides" in text
    days = ("2020-08-28", "2020-09-04", "2020-09-11", "2020-09-18", "2020-09-25", "2020-10-02", "2020-10-09")
    assert all(f"Fri {day} 17:00" in text for day in days)


def test_counts_are_what_calendar_and_warm_up_predict(project: Path) -> None:
    """`verify` compares rows with the calendar and non-NULL counts of every column with its declared support."""
    found = bqx(project, "build", "verify", "--deep", "--recompute", "3")
    assert found["problems"] == []
    assert found["partitions"] == 3 * len(datasets()) and found["values"] > 5_900_000


def test_queried_counts(project: Path) -> None:
    """Counted from the file by hand: a change over 60 bars needs two prices of one trading week 60 bars apart."""
    import numpy as np
    import polars as pl

    stamps = [line[:16] for line in FILE.read_text().splitlines()]
    minute = np.array(stamps, dtype="datetime64[m]").astype(np.int64)
    week = 7 * 1440
    sunday = np.datetime64("2020-08-23T21:00", "m").astype(np.int64)  # 17:00 New York, summer time throughout
    bars = set(minute.tolist())
    last = int(minute[-1])
    priced = {
        m
        for start in range(int(sunday), last + 1, week)
        for m in range(start, min(start + 5 * 1440, last + 1))
        if any(k in bars for k in range(max(m - 5, start), m + 1))
    }
    expected = sum((m - 60) in priced and (m - sunday) % week >= 60 for m in priced)
    rows = bqx(project, "query", "SELECT count(ret_60) AS n, count(*) AS bars FROM returns_raw_rate")
    assert pl.DataFrame(rows)["n"].to_list() == [expected]
