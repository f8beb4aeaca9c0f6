"""`bqx bars check` over several pairs: triangles of files and of the project's bars."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from bars_run import Run
from bqx.build.project import Project
from bqx.market.calendar import Calendar, minute_of
from bqx.market.simulated import simulate

SIX = ("eurusd", "usdjpy", "eurjpy", "gbpusd", "eurgbp", "gbpjpy")
FIRST = "2024-06-06T00:00"


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    start = minute_of(pl.Series([FIRST]).str.to_datetime(time_zone="UTC")[0])
    return simulate(Calendar.load(), start, start + 5 * 1440, seed=2, pairs=SIX, origin_minute=start)


def write(folder: Path, frames: dict[str, pl.DataFrame], *, spoil: str = "") -> Path:
    """One Parquet file a pair with bid and ask; `spoil` is 20 bp off for three minutes."""
    folder.mkdir()
    for pair, frame in frames.items():
        if pair == spoil:
            at = frame["ts_utc"][500]
            off = pl.col("ts_utc").is_between(at, at + pl.duration(minutes=2))
            quotes = pl.col("^(bid|ask)_.*$")
            frame = frame.with_columns(pl.when(off).then(quotes * 1.002).otherwise(quotes))
        frame.drop("open", "high", "low", "close", "volume").write_parquet(folder / f"{pair}.parquet")
    return folder


QUOTES = ",".join(f"{s}_{c}={s}_{c}" for s in ("bid", "ask") for c in ("open", "high", "low", "close"))


def test_files_of_six_pairs_name_the_pair_and_the_minutes(
    run: Run, frames: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    options = ("--map", f"ts=ts_utc,{QUOTES}", "--json")
    clean = run("check", write(tmp_path / "clean", frames), *options).json["triangles"]
    assert (run.code, clean["broken"], clean["passed"], len(clean["by_triangle"])) == (0, 0, True, 4)
    spoilt = write(tmp_path / "spoilt", frames, spoil="usdjpy")
    found = run("check", spoilt, *options).json["triangles"]
    assert (run.code, found["pairs"], found["broken"]) == (0, {"usdjpy": 3}, 3)  # 3 of 4,000 are within 0.1 %
    (place,) = found["breaks"]
    assert place["first"] == frames["usdjpy"]["ts_utc"][500].isoformat()
    assert (place["minutes"], place["triangles"], place["of"]) == (3, 2, 2)
    strict = run("check", spoilt, *options, "--max-broken", "0.0001")
    assert (strict.code, strict.error["code"], strict.error["where"]) == (5, "BQX301", "usdjpy")
    assert strict.json["triangles"]["passed"] is False
    assert run("check", spoilt, *options, "--no-triangles").json["triangles"] is None
    assert "usdjpy: to blame in 3 minutes" in run("check", spoilt, *options[:-1]).out


def test_the_projects_bars(run: Run, project: Path, tmp_path: Path, frames: dict[str, pl.DataFrame]) -> None:
    assert run("check", "--stored", "--json").code == 2
    assert "make no triangle" in run.error["what"]
    folder = write(tmp_path / "files", frames, spoil="gbpusd")
    assert run("import", folder, "--map", f"ts=ts_utc,{QUOTES}").code == 0, run.err
    found = run("check", "--stored", "--json").json["triangles"]
    assert (found["pairs"], found["minutes"] > 4000) == ({"gbpusd": 3}, True)
    later = run("check", "--stored", "--from", "2024-06-07", "--to", "2024-06-08", "--json").json["triangles"]
    assert (later["pairs"], later["broken"]) == ({}, 0)
    assert 0 < later["minutes"] < found["minutes"]


def test_options_that_do_not_go_together(run: Run, tmp_path: Path) -> None:
    assert run("check", tmp_path, "--stored").code == 2
    assert run("check", tmp_path, "--from", "2024-06-06").code == 2


def test_a_simulated_project_has_no_breaks(run: Run, tmp_path: Path) -> None:
    run.project = tmp_path / "small"
    Project.create(run.project, pairs=list(SIX)).close()
    run("simulate", "--from", "2024-06-03", "--to", "2024-06-04")
    found = run("check", "--stored", "--json").json
    assert (found["triangles"]["broken"], found["simulated"]) == (0, True)
    assert "4 triangles  SIMULATED" in run("check", "--stored").out
    assert run("check", "--stored", "--from", "2025-01-01", "--json").code == 5
