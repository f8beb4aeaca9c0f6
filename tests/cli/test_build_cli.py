"""`bqx init`, `bqx build ...` and `bqx status` as a user meets them."""

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
from bqx.market.calendar import minute_of
from bqx.market.simulated import simulate, simulated_source
from few_datasets import FEW, few, with_few

N = len(FEW)
PANELS = sum("panel" in home.uses for home in few().values())
"""Datasets in which a bar of one pair moves all."""
START = minute_of(datetime(2024, 7, 7, tzinfo=UTC))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module", autouse=True)
def few_datasets() -> Iterator[None]:
    yield from with_few()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two pairs and five days, not built."""
    path = tmp_path_factory.mktemp("cli") / "p"
    project = Project.create(path, pairs=["eurusd", "usdjpy"])
    frames = simulate(project.calendar, START, START + 6 * 1440, seed=3, pairs=project.pairs, origin_minute=START)
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame, simulated_source(3))
    project.close()
    return path


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


def test_init_makes_a_project_once(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("init", tmp_path / "fx", "--pairs", "EURUSD,usd/jpy", "--t0", "seed")
    assert (code, "with 2 pairs" in out) == (0, True)
    assert (tmp_path / "fx" / "bqx.toml").read_text().count('t0 = "seed"') == 1
    code, _, err = run("-C", tmp_path / "fx", "init")
    assert (code, "already" in err) == (3, True)
    code, _, err = run("-C", tmp_path, "status", "--json")
    assert (code, json.loads(err)["error"]["code"]) == (3, "BQX102")


def test_status_of_an_empty_project_says_what_to_do(run: Run, tmp_path: Path) -> None:
    run("init", tmp_path / "fx")
    code, out, _ = run("-C", tmp_path / "fx", "status")
    assert code == 0
    assert "bqx bars import" in out
    code, out, _ = run("-C", tmp_path / "fx", "build", "plan")
    assert (code, out.splitlines()[0]) == (0, "0 units, 0 partitions, 0 values to build; 0 partitions are fresh")
    assert "no bars" in out.splitlines()[1]


def test_plan_run_status_verify(run: Run, root: Path) -> None:
    at = ("-C", root)
    code, out, _ = run(*at, "build", "plan", "--json")
    plan = json.loads(out)
    assert (code, plan["partitions"], plan["fresh"]) == (0, 2 * N, 0)
    assert plan["units"][0]["reasons"] == {"not built yet": 2}
    assert plan["values"] == sum(u["rows"] * u["columns"] for u in plan["units"])
    code, out, _ = run(*at, "build", "run", "--dry-run", "--json")
    assert json.loads(out)["partitions"] == 2 * N
    code, out, _ = run(*at, "build", "run", "--datasets", "time_dual,ohlc_rate", "--threads", "1", "--json")
    first = json.loads(out)
    assert (code, first["built"], first["partitions"], first["failures"]) == (0, 2, 4, [])
    code, out, _ = run(*at, "build", "run")
    assert code == 0
    assert out.startswith(f"{N - 2} units built from SIMULATED bars ({2 * N - 4} partitions, ")
    code, out, _ = run(*at, "build", "plan")
    assert f"{2 * N} partitions are fresh" in out
    code, out, _ = run(*at, "status", "--json")
    data = json.loads(out)
    assert (code, data["simulated"], data["partitions"]) == (
        0,
        True,
        {"held": 2 * N, "fresh": 2 * N, "stale": 0, "missing": 0},
    )
    assert data["coverage"]["time_dual"] == {"2024_07": {"fresh": 2, "stale": 0, "missing": 0}}
    code, out, _ = run(*at, "status")
    assert "SIMULATED DATA" in out
    code, out, _ = run(*at, "build", "status", "--json")
    assert json.loads(out)["last_run"]["status"] == "done"
    code, out, _ = run(*at, "build", "verify", "--deep", "--recompute", "2", "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["partitions"], found["recomputed"]) == (0, True, 2 * N, 2)


def test_impact_is_a_dry_run(run: Run, root: Path) -> None:
    at = ("-C", root)
    run(*at, "build", "run")
    code, out, _ = run(*at, "build", "impact", "--bar", "eurusd", "2024-07-09T10:00Z", "--json")
    data: dict[str, Any] = json.loads(out)
    assert (code, data["partitions"], data["held"]) == (0, N - 1 + PANELS, 2 * N)
    assert data["datasets"]["base_bqx"]["pairs"] == ["eurusd"]
    code, out, _ = run(*at, "build", "impact", "--holiday", "2024-07-10")
    assert out.splitlines()[-1] == f"2024-07-10 becomes a holiday: {2 * N} of {2 * N} partitions would become stale"
    code, out, _ = run(*at, "build", "impact", "--code", "time_dual")
    assert "time_dual" in out.splitlines()[0]
    assert f"2 of {2 * N}" in out.splitlines()[-1]
    code, _, err = run(*at, "build", "impact")
    assert (code, "exactly one" in err) == (2, True)
    code, out, _ = run(*at, "build", "plan", "--json")
    assert json.loads(out)["partitions"] == 0, "nothing was changed"


def test_a_damaged_store_fails_verification_with_its_exit_code(run: Run, root: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "p"
    shutil.copytree(root, copy)
    run("-C", copy, "build", "run")
    project = Project.open(copy)
    (copy / project.store.partitions()[0].pieces[0].path).unlink()
    code, _, err = run("-C", copy, "build", "verify")
    assert (code, "the file is missing" in err) == (5, True)


def test_usage_errors_name_the_choice(run: Run, root: Path) -> None:
    for args, word in (
        (("--pairs", "eureur"), "eureur"),
        (("--datasets", "nope_rate"), "nope_rate"),
        (("--columns", "returns_raw_rate.nope"), "nope"),
        (("--from", "July"), "July"),
    ):
        code, _, err = run("-C", root, "build", "plan", *args)
        assert (code, word in err) == (2 if word != "July" else code, True)
        assert code != 0


def test_log_json_gives_one_event_a_unit(run: Run, tmp_path: Path, root: Path) -> None:
    code, _, err = run(
        "--log-json", "--run-id", "r-1", "-C", root, "build", "run", "--force", "--datasets", "time_dual"
    )
    events = [json.loads(line) for line in err.splitlines()]
    assert code == 0
    assert {e["run_id"] for e in events} == {"r-1"}
    units = [e["fields"] for e in events if e["event"] == "build.unit"]
    assert sum(u["values"] for u in units) == 10 * _rows(root)


def _rows(root: Path) -> int:
    project = Project.open(root)
    return sum(i.rows for i in project.store.partitions(dataset="time_dual"))


def test_as_of_reads_the_state_before_a_correction(run: Run, root: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "p"
    shutil.copytree(root, copy)
    run("-C", copy, "build", "run")
    project = Project.open(copy)
    known = project.bars.sources()[-1]["known_at"]
    bar = project.bars.read(["eurusd"], START, START + 3 * 1440)["eurusd"].tail(1)
    project.bars.ingest("eurusd", bar.with_columns(pl.col("volume") + 1), simulated_source(4), policy="newest")
    code, out, _ = run("-C", copy, "status", "--as-of", known, "--json")
    assert (code, json.loads(out)["partitions"]["held"]) == (0, 0)
    code, out, _ = run("-C", copy, "status", "--json")
    assert json.loads(out)["partitions"]["stale"] == N - 1 + PANELS
