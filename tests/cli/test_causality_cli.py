"""`bqx causality` as a user meets it: plan, run, run again, list, report, and what cannot be asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bqx.build.project import Project
from bqx.cli.main import main
from bqx.features.catalogue import datasets
from bqx.market.calendar import minute_of
from bqx.market.simulated import simulate, simulated_source
from bqx.research.trials import Trials

START = minute_of(datetime(2024, 6, 23, 21, tzinfo=UTC))
Go = Callable[..., tuple[int, str, str]]
PAIRS = ("eurjpy", "eurusd", "usdjpy")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs, 16 days, one dataset built."""
    path = tmp_path_factory.mktemp("causality") / "p"
    project = Project.create(path, pairs=PAIRS)
    frames = simulate(project.calendar, START, START + 19 * 1440, seed=3, pairs=PAIRS, origin_minute=START)
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame, simulated_source(3))
    project.close()
    return path


@pytest.fixture
def go(capsys: pytest.CaptureFixture[str], root: Path) -> Go:
    """go(args) -> exit code, stdout, stderr."""

    def call(*args: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["-C", str(root), *args])
        except SystemExit as done:
            code = int(done.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_plan_run_list_report(go: Go, root: Path, tmp_path: Path) -> None:
    ask = ("causality", "run", "--method", "granger", "--max-order", "4", "--workers", "2", "--json")
    plan = json.loads(go(*ask, "--dry-run")[1])
    assert plan["questions"] == 6
    assert not (root / "research" / "causality").exists()
    code, out, err = go(*ask)
    assert code == 0, err
    found = json.loads(out)
    assert found["digest"] == plan["digest"]
    assert found["simulated"]
    assert len(found["links"]) == 6
    assert json.loads(go(*ask)[1]) == found, "asked again it is the same table, not another run"
    assert [t["model"] for t in Trials(root).list(kind="causality")] == ["granger"]
    rows = json.loads(go("causality", "list", "--json")[1])
    assert [(r["digest"], r["finished"], r["questions"]) for r in rows] == [(plan["digest"], True, 6)]
    code, out, err = go("causality", "report", plan["digest"][:6], "--out", str(tmp_path), "--json")
    assert code == 0, err
    files = [Path(f) for f in json.loads(out)["files"]]
    assert [f.suffix for f in files] == [".html", ".md", ".json"]
    assert "SIMULATED DATA" in files[1].read_text()
    assert "6 questions" in files[1].read_text()
    code, out, _ = go("causality", "list")
    assert "links of 6 questions" in out


def test_features_from_the_store(go: Go, root: Path) -> None:
    assert go("build", "run", "--datasets", "returns_raw_rate", "--threads", "1")[0] == 0
    code, out, err = go(
        "causality", "run", "--method", "granger", "--series", "bqx_15", "--feature", "returns_raw_rate.ret_1",
        "--max-order", "3", "--json",
    )  # fmt: skip
    assert code == 0, err
    mine = [k for k in json.loads(out)["links"] if k["source"] == "returns_raw_rate.ret_1"]
    assert [k["target"] for k in mine] == list(PAIRS)
    assert all(k["rows"] > 300 for k in mine)
    plan = go("causality", "run", "--method", "te", "--feature", "returns_raw_rate", "--dry-run", "--json")[1]
    assert len(json.loads(plan)["settings"]["features"]) == len(datasets()["returns_raw_rate"].columns)


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (("run", "--series", "return_9"), 2, "unknown series"),
        (("run", "--from", "2024-07-01"), 2, "time zone"),
        (("run", "--from", "yesterday"), 2, "ISO time"),
        (("run", "--feature", "no.column"), 2, "unknown dataset"),
        (("run", "--feature", "returns_raw_rate.nothing"), 2, "nothing"),
        (("run", "--pairs", "eurusd"), 5, "two are the least"),
        (("run", "--from", "2024-07-08T00:00Z"), 5, "8 trading days"),
        (("report", "nosuchrun"), 5, "nosuchrun"),
    ],
)
def test_what_cannot_be_asked(go: Go, args: tuple[str, ...], code: int, word: str) -> None:
    found, _, err = go("causality", *args)
    assert (found, word in err) == (code, True), err
