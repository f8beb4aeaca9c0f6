"""Project folders, wide frames, exports and the as-of join."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import bqx
from bqx.base.errors import ConfigError, ProjectError, StoreError, Unsupported, UsageError
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.market.calendar import minute_of
from few_datasets import few

Copy = Callable[[Path], Project]
RET = "returns_raw_rate.ret_1"


def test_a_project_is_made_once(tmp_path: Path) -> None:
    made = Project.create(tmp_path / "fx-1", pairs=["EUR/USD", "gbpusd"], t0="seed")
    assert (made.pairs, made.config.project.name) == (("eurusd", "gbpusd"), "fx-1")
    assert made.config.project.t0_minute == minute_of(datetime(2024, 7, 1, tzinfo=UTC))
    with pytest.raises(ProjectError, match="already"):
        Project.create(tmp_path / "fx-1")
    with pytest.raises(ProjectError, match="not a bqx project"):
        Project.open(tmp_path)
    with pytest.raises(ConfigError):
        Project.create(tmp_path / "bad", t0="yesterday")
    assert not (tmp_path / "bad" / "bqx.toml").exists(), "a refused project leaves no settings behind"
    with pytest.raises(UsageError, match="usdeur"):
        Project.create(tmp_path / "bad", pairs=["usdeur"])


def test_a_wide_frame_has_all_datasets_side_by_side(built: Path) -> None:
    project = bqx.open(built)
    frame = project.frame("EUR/USD")
    assert frame.width == 1 + sum(len(d.columns) for d in few().values())
    assert frame["ts_utc"].is_sorted()
    day = datetime(2024, 7, 2, tzinfo=UTC)
    part = project.frame("eurusd", columns=[RET, "hour_sin"], start=day, end=day + timedelta(hours=1))
    assert part.columns == ["ts_utc", RET, "time_dual.hour_sin"]
    assert part.height == 60
    assert part[RET].equals(frame.filter(pl.col("ts_utc").is_between(day, day + timedelta(minutes=59)))[RET])
    assert project.frame("eurusd", "time_dual").width == 11
    assert project.simulated
    with pytest.raises(UsageError, match="no time zone"):
        project.frame("eurusd", start=datetime(2024, 7, 2))
    with pytest.raises(StoreError):
        project.frame("audusd")


def test_months_that_one_dataset_lacks_are_null_there(unbuilt: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    build(project, Choice(datasets=("time_dual",)))
    build(project, Choice(datasets=("returns_raw_rate",), first_month="2024_07"))
    frame = project.frame("eurusd", columns=[RET, "time_dual.hour_sin"])
    june = frame.filter(pl.col("ts_utc") < datetime(2024, 7, 1, tzinfo=UTC))
    assert june.height > 5000
    assert june[RET].null_count() == june.height
    assert frame["time_dual.hour_sin"].null_count() == 0
    assert frame["ts_utc"].is_sorted()


def test_exports_say_the_same(built: Path) -> None:
    project = bqx.open(built)
    columns = [RET, "ohlc_rate.seg_age", "ohlc_rate.rate_index"]
    frame = project.frame("eurusd", columns=columns)
    ts, values, names = project.numpy("eurusd", columns=columns)
    assert names == tuple(columns)
    assert values.shape == (frame.height, 3)
    assert np.isnan(values[:, 0]).sum() == frame[RET].null_count() > 0
    assert ts[0] == np.datetime64(frame["ts_utc"][0].replace(tzinfo=None))
    pandas = project.pandas("eurusd", columns=columns)
    assert str(pandas.index.tz) == "UTC"
    assert (str(pandas[RET].dtype), str(pandas["ohlc_rate.seg_age"].dtype)) == ("float32", "Int32")
    assert pandas[RET].isna().sum() == frame[RET].null_count()
    assert pandas["ohlc_rate.seg_age"].tolist() == frame["ohlc_rate.seg_age"].to_list()
    table = project.arrow("eurusd", columns=columns)
    assert table.num_rows == frame.height
    assert table.column(RET).null_count == frame[RET].null_count()


def test_an_export_without_its_package_says_so(monkeypatch: pytest.MonkeyPatch, built: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Unsupported, match="needs pyarrow"):
        bqx.open(built).arrow("eurusd", columns=[RET])


def test_asof_gives_what_was_usable_and_no_more(built: Path) -> None:
    project = bqx.open(built)
    bar = datetime(2024, 7, 3, 12, 0, tzinfo=UTC)
    second = timedelta(seconds=1)
    times = [bar + 60 * second, bar + 59 * second, bar + 119 * second, bar - 5 * second]
    out = project.asof(times, "eurusd", [RET])
    minute = timedelta(minutes=1)
    assert out["bar_ts"].to_list() == [bar, bar - minute, bar, bar - 2 * minute]
    assert out["age_seconds"].to_list() == [0, 59, 59, 55]
    frame = project.frame("eurusd", columns=[RET])
    values = dict(frame.iter_rows())
    assert out[RET].to_list() == [values[t] for t in out["bar_ts"]]
    assert out["null_reason"].to_list() == [None] * 4


def test_asof_is_null_with_a_reason_where_nothing_is_current(built: Path) -> None:
    project = bqx.open(built)
    close = datetime(2024, 6, 28, 21, tzinfo=UTC)
    saturday = close + timedelta(hours=12)
    times = pl.DataFrame({"when": [close, close + timedelta(minutes=5, seconds=1), saturday], "id": [1, 2, 3]})
    out = project.asof(times, "eurusd", [RET], on="when")
    assert out.columns == ["when", "id", "bar_ts", "age_seconds", RET, "null_reason"]
    assert out["null_reason"].to_list() == [None] + ["no row in the last 5 minutes"] * 2
    assert out[RET].to_list()[1:] == out["bar_ts"].to_list()[1:] == [None, None]
    assert project.asof(times, "eurusd", [RET], on="when", max_age_minutes=1e4)["null_reason"].null_count() == 3
    early = project.asof([datetime(2024, 1, 2, tzinfo=UTC)], "eurusd", [RET])
    assert early["null_reason"].to_list() == ["before the first built row"]
    with pytest.raises(UsageError, match="no time zone"):
        project.asof([datetime(2024, 7, 3)], "eurusd", [RET])
    with pytest.raises(UsageError, match="no column 'ts'"):
        project.asof(times, "eurusd", [RET])


def test_features_are_listed_and_shown(built: Path) -> None:
    features = bqx.open(built).features
    assert {row["dataset"] for row in features.list("time_dual")} == {"time_dual"}
    assert features.show(RET)["column"] == "ret_1"
