"""`bqx live` and `bqx update` as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bqx.build.project import Project
from bqx.cli.main import main
from bqx.market.calendar import Calendar, datetime_of, minute_of
from bqx.market.simulated import simulate, simulated_source

START = minute_of(datetime(2024, 7, 7, 21, tzinfo=UTC))
STORED = minute_of(datetime(2024, 7, 10, tzinfo=UTC))
END = STORED + 30
PAIRS = ["eurusd", "usdjpy"]
NAMES = "base_bqx,returns_raw_rate"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    return simulate(Calendar.load(), START, END, seed=3, pairs=PAIRS, origin_minute=START)


@pytest.fixture
def root(tmp_path: Path, frames: dict[str, pl.DataFrame]) -> Iterator[Path]:
    """A project of two pairs and two days, not built."""
    path = tmp_path / "p"
    project = Project.create(path, pairs=PAIRS)
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame.filter(pl.col("ts_utc") < datetime_of(STORED)), simulated_source(3))
    project.close()
    yield path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run(args) -> exit code, stdout, stderr."""

    def call(*args: str | Path) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(a) for a in args])
        except SystemExit as done:
            code = int(done.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def feed(path: Path, frames: dict[str, pl.DataFrame]) -> Path:
    """The last half hour as a file."""
    parts = [
        f.filter(pl.col("ts_utc") >= datetime_of(STORED)).select(
            pl.lit(pair).alias("pair"), pl.col("ts_utc").dt.strftime("%Y-%m-%dT%H:%M:%SZ"), pl.all().exclude("ts_utc")
        )
        for pair, f in frames.items()
    ]
    pl.concat(parts).sort("ts_utc", "pair").write_csv(path)
    return path


def bars(frames: dict[str, pl.DataFrame], start: int, end: int) -> int:
    """How many there are in a span."""
    inside = (pl.col("ts_utc") >= datetime_of(start)) & (pl.col("ts_utc") < datetime_of(end))
    return sum(len(f.filter(inside)) for f in frames.values())


def test_run_state_and_rebuild(run: Run, root: Path, tmp_path: Path, frames: dict[str, pl.DataFrame]) -> None:
    file = feed(tmp_path / "feed.csv", frames)
    args = ("-C", root, "live", "run", "--file", file, "--grace", "0", "--datasets", NAMES, "--json")
    code, out, err = run(*args, "--minutes", "20")
    assert code == 0, err
    said = json.loads(out)
    assert said["simulated"] and said["newest"] == "2024-07-10T00:19Z"
    code, out, _ = run(*args, "--minutes", "10")
    said = json.loads(out)
    assert (code, said["newest"]) == (0, "2024-07-10T00:29Z")
    assert said["bars"] == {"duplicate": bars(frames, STORED, STORED + 20), "taken": bars(frames, STORED + 20, END)}
    code, out, _ = run("-C", root, "live", "state", "show", "--json")
    assert [row["verdict"] for row in json.loads(out)] == ["usable"] * len(json.loads(out))
    code, out, _ = run("-C", root, "live", "state", "fork", tmp_path / "other", "--datasets", NAMES)
    assert code == 0 and list((tmp_path / "other").glob("state-*.live"))
    code, out, _ = run("-C", root, "live", "state", "rebuild", "--datasets", NAMES, "--dry-run", "--json")
    assert "bars.journal" in json.loads(out)["put_aside"] and (root / "live" / "bars.journal").exists()
    code, out, _ = run("-C", root, "live", "state", "rebuild", "--datasets", NAMES, "--json")
    assert code == 0 and json.loads(out)["newest"] == STORED - 1
    assert list((root / "live").glob("bars.journal.aside*"))


def test_replay_checks_itself(run: Run, root: Path) -> None:
    code, out, err = run(
        "-C", root, "live", "replay", "--from", "2024-07-09T23:30Z", "--check", "--datasets", NAMES, "--json"
    )
    assert code == 0, err
    said = json.loads(out)
    assert said["check"]["equal"] and said["minutes"] == 30 and said["check"]["compared"] > 3000
    assert not (root / "live").exists()


def test_live_says_what_is_wrong(run: Run, root: Path, tmp_path: Path) -> None:
    assert "one feed" in run("-C", root, "live", "run")[2]
    code, _, err = run("-C", root, "live", "run", "--file", tmp_path / "absent.csv", "--datasets", NAMES)
    assert code == 3 and "BQX842" in err
    code, _, err = run("-C", root, "live", "replay", "--from", "2024-08-01", "--datasets", NAMES)
    assert code == 2
    Project.create(tmp_path / "empty", pairs=PAIRS).close()
    code, _, err = run("-C", tmp_path / "empty", "live", "state", "rebuild")
    assert code == 5 and "no bars" in err


def test_update_again_changes_nothing(run: Run, tmp_path: Path, frames: dict[str, pl.DataFrame]) -> None:
    """New bars in, the month built; the same call again finds all of it fresh; a later file adds its minutes."""
    root = tmp_path / "p"
    Project.create(root, pairs=["eurusd"]).close()
    how = ("--pair", "eurusd", "--map", "ts=time,open=open,high=high,low=low,close=close", "--utc-offset=+00:00")

    def update(end: int, *more: str) -> dict[str, Any]:
        frame = frames["eurusd"].filter(pl.col("ts_utc") < datetime_of(end))
        stamps = pl.col("ts_utc").dt.strftime("%Y-%m-%d %H:%M:%S").alias("time")
        frame.select(stamps, "open", "high", "low", "close").write_csv(tmp_path / "EURUSD.csv")
        code, out, err = run("-C", root, "update", tmp_path / "EURUSD.csv", *how, "--datasets", NAMES, "--json", *more)
        assert code == 0, err
        said: dict[str, Any] = json.loads(out)
        return said

    assert update(STORED, "--dry-run")["units"] == 0  # nothing is stored yet to build from
    first = update(STORED)
    stored = bars({"eurusd": frames["eurusd"]}, START, STORED)
    assert first["imported"]["eurusd"]["new"] == stored and not first["simulated"]
    assert (first["units"], first["failures"]) == (2, [])
    again = update(STORED)
    assert (again["imported"]["eurusd"]["new"], again["units"], again["fresh"]) == (0, 0, 2)
    more = update(STORED + 30)
    new = {"eurusd": frames["eurusd"]}
    assert (more["imported"]["eurusd"]["new"], more["units"]) == (bars(new, STORED, STORED + 30), 2)
    code, _, err = run("-C", root, "update", "--datasets", NAMES, "--models", "none")
    assert code != 0 and err
