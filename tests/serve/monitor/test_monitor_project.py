"""The monitors and the paper book on a project with served models."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from bqx.base.errors import BqxError, CheckError, MonitorInputError, PaperError
from bqx.build.project import Project
from bqx.cli.main import root as command
from bqx.serve.monitor.report import monitor_report
from bqx.serve.monitor.settings import Settings, read_settings

ROOT = Path(__file__).parents[3]


class World:
    """A copy of the served world with a file of forecasts a pair."""

    def __init__(self, root: Path, now: float) -> None:
        self.root, self.now = root, now

    def bqx(self, *words: str, refused: str | None = None) -> dict[str, Any]:
        done = CliRunner().invoke(command, ["-C", str(self.root), *words, "--json"])
        if refused is not None:
            assert isinstance(done.exception, BqxError) and done.exception.code == refused, done.output
            return {}
        assert done.exit_code == 0, (done.output, repr(done.exception))
        return dict(json.loads(done.stdout))

    def look(self, *more: str, after: float = 30.0) -> dict[str, Any]:
        at = datetime.fromtimestamp(self.now + after, UTC).isoformat()
        return self.bqx("monitor", "run", "--models", "first", "--at", at, *more)


@pytest.fixture(scope="module")
def made(served_world: Any, tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("monitored") / "p"
    shutil.copytree(served_world.root, root, ignore=shutil.ignore_patterns("serve"))
    world = World(root, served_world.now)
    world.bqx("predict", "--models", "first")
    return world


@pytest.fixture
def world(made: World, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(made.root, tmp_path / "p")
    yield World(tmp_path / "p", made.now)


def test_a_healthy_project_has_parity_and_says_what_it_could_not_judge(world: World) -> None:
    first = world.look("--dry-run")
    assert not (world.root / "monitor").exists()
    again = world.look()
    assert again["findings"] == first["findings"] == [] and again["simulated"]
    sections = again["sections"]
    assert sections["data"]["state"] == sections["parity"]["state"] == sections["retrain"]["state"] == "good"
    assert sections["parity"]["seen"]["forecasts"]["compared"] > 10_000
    assert sections["parity"]["seen"]["forecasts"]["differing"] == {}
    assert {k for k, s in sections.items() if s["state"] == "not judged"} == {
        "service",
        "probe",
        "drift",
        "performance",
    }
    assert json.loads((world.root / "monitor" / "latest.json").read_text())["sections"] == sections
    pages = world.bqx("monitor", "report")["report"]
    assert "SIMULATED" in Path(pages[0]).read_text()


def test_faults_are_told_once_and_silenced_ones_not(world: World) -> None:
    path = max((world.root / "predictions" / "first").glob("eurusd_*.parquet"))
    receipt = path.with_name(f"{path.name}.json")
    table = pl.read_parquet(path)
    last = pl.int_range(pl.len()) == pl.len() - 1
    sigma = pl.when(last).then(pl.col("sigma") * (1 + 1e-15)).otherwise(pl.col("sigma"))
    table.with_columns(sigma.alias("sigma")).write_parquet(path)
    said = json.loads(receipt.read_text())
    receipt.write_text(json.dumps({**said, "hash": hashlib.sha256(path.read_bytes()).hexdigest()}))
    until = datetime.fromtimestamp(world.now + 90_000, UTC).isoformat()
    world.bqx("monitor", "silence", "stale/usdjpy", "--until", until, "--by", "ann", "--why", "its feed moves")
    look = world.look(after=3600.0)
    keys = {f["key"]: f for f in look["findings"]}
    assert set(keys) == {"parity/forecasts", "stale/eurusd", "stale/usdjpy"}
    assert keys["parity/forecasts"]["value"] == 1 and "sigma" in keys["parity/forecasts"]["what"]
    assert {m["key"] for m in look["sent"]} == {"parity/forecasts", "stale/eurusd"}
    assert world.look(after=3600.0)["sent"] == []
    lines = (world.root / "monitor" / "alerts.jsonl").read_text().splitlines()
    assert len(lines) == 2 and all(json.loads(r)["simulated"] for r in lines)
    at = datetime.fromtimestamp(world.now + 3600, UTC).isoformat()
    world.bqx("monitor", "run", "--models", "first", "--at", at, "--strict", refused=CheckError.code)


def test_a_probe_compares_served_features_with_the_store(world: World) -> None:
    from bqx.base.secret import Secret
    from bqx.serve.api.assemble import Settings as ServeSettings
    from bqx.serve.api.assemble import make_server
    from bqx.serve.api.keys import Keys
    from bqx.serve.api.model_sources import RunModels
    from bqx.serve.api.models import ModelSet
    from bqx.serve.monitor.probe import probe
    from bqx.serve.monitor.run import monitor
    from bqx.serve.monitor.served import answers_again
    from bqx.serve.monitor.settings import ProbeSettings

    class Provider:
        def __init__(self, text: str) -> None:
            self.text = text

        def get(self, name: str) -> Secret:
            return Secret(self.text)

        def probe(self) -> str:
            return "a test"

    project = Project.open(world.root)
    _, key = Keys(world.root).make("monitor", 100.0)
    server = make_server(project, ServeSettings("first", start=world.now + 20.0)).start()
    try:
        import time

        done = probe(server.url, Secret(key), ["eurusd", "usdjpy"], time.time)
        wrong = probe(server.url, Secret("x" * 8), ["eurusd"], time.time)
        asked = Settings(run="first", probe=ProbeSettings(server.url, "key"))
        look = monitor(project, asked, world.now + 30.0, Provider(key))
    finally:
        server.close()
    assert set(done.answers) == {"eurusd", "usdjpy"} and done.clock is not None and abs(done.clock) < 5.0
    assert wrong.refused == {"eurusd": "unauthorized"}
    assert look["sections"]["probe"]["state"] == "good" and look["sections"]["probe"]["seen"]["answers"] == 2
    assert look["sections"]["parity"]["seen"]["features"]["compared"] == 2 * done.answers["eurusd"]["features"]["used"]
    assert look["sections"]["service"]["seen"]["state"] == "running"
    down = monitor(project, asked, world.now + 60.0, Provider(key), dry_run=True)
    assert "probe/api" in {f["key"] for f in down["findings"]}
    model = ModelSet(RunModels(world.root, "first"), world.root).get("eurusd")
    assert model is not None
    answer = done.answers["eurusd"]
    found = answers_again(project, model, [answer])
    assert found.compared == len(model.columns) and found.differing == {}
    name = next(k for k, v in answer["features"]["values"].items() if v)
    answer["features"]["values"][name] *= 1.0000002
    assert answers_again(project, model, [answer]).differing == {name: 1}
    project.close()


def test_paper_holds_research_back_and_agrees_with_the_backtest(world: World) -> None:
    held = world.bqx("paper", "run", "--models", "first", "--book", "held")
    assert (
        held["rule_as_served"]
        and held["trades"] == 0
        and held["decisions"]["held_back"] == held["decisions"]["all"] > 10_000
    )
    words = ("paper", "run", "--models", "first", "--research", "--cost-bps", "0")
    first = world.bqx(*words)
    assert (
        not first["rule_as_served"]
        and first["trades"] > 0
        and first["reconciled"]["equal"]
        and first["decisions"]["changed_since"] == 0
    )
    assert "nothing can be said" in first["edge"]["verdict"] and first["simulated"]
    again = world.bqx(*words)
    assert again["decisions"]["new"] == 0
    assert {k: v for k, v in again.items() if k != "decisions"} == {k: v for k, v in first.items() if k != "decisions"}
    world.bqx(*words[:-1], "1", refused=PaperError.code)


def test_paper_keeps_what_was_decided_and_seen(world: World) -> None:
    words = ("paper", "run", "--models", "first", "--research", "--cost-bps", "0")
    before = world.bqx(*words)
    for path in (world.root / "predictions" / "first").glob("*.parquet"):
        table = pl.read_parquet(path)
        table.with_columns(-pl.col("move_15")).write_parquet(path)
    after = world.bqx(*words)
    assert after["decisions"]["changed_since"] > 1000 and after["profit_bps"] == before["profit_bps"]
    book = world.root / "paper" / "first" / "bars.parquet"
    bars = pl.read_parquet(book)
    bars.with_columns(pl.col("open") * 1.0001).write_parquet(book)  # the desk saw other prices than the store has now
    moved = world.bqx(*words)
    assert not moved["reconciled"]["equal"] and moved["reconciled"]["mid_bps"]["largest"] > 0


def test_the_page_runs(world: World) -> None:
    """Commands and settings of docs/monitoring.md."""
    text = (ROOT / "docs" / "monitoring.md").read_text()
    toml = re.findall(r"^```toml\n(.*?)^```$", text, re.M | re.S)[0]
    (world.root / "monitor.toml").write_text(toml)
    plain, said = Settings(), read_settings(world.root)
    for name in ("health", "service", "drift", "performance", "retrain"):
        assert getattr(said, name) == getattr(plain, name), name  # the page shows the defaults
    (world.root / "monitor.toml").unlink()
    lines = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)[0].splitlines()
    for words in map(shlex.split, lines):
        done = CliRunner().invoke(command, ["-C", str(world.root), *words[3:]])
        assert done.exit_code == 0 and words[:3] == ["bqx", "-C", "P"], (done.output, repr(done.exception))
    assert (world.root / "reports" / "monitor.html").is_file()


def test_a_failing_monitor_is_an_alert_and_the_report_shows_every_section(world: World) -> None:
    status = world.root / "serve" / "status.json"
    status.parent.mkdir(exist_ok=True)
    status.write_text("{")
    look = world.look()
    assert [f["key"] for f in look["findings"]] == ["monitor/service"] and len(look["sent"]) == 1
    status.unlink()
    after = world.look()
    assert [m["why"] for m in after["sent"]] == ["resolved"] and after["alerts"] == []
    domain = {"domain": "rate", "features": 2, "score": 5.5, "p": 0.01, "drifted_count": 1, "worst": "x", "psi": 0.4}
    series = {
        "series": "loss",
        "days": 3,
        "latest": 0.1,
        "reference_mean": 0.0,
        "sum": 1.0,
        "h": 5.0,
        "run_length": 300.0,
    }
    after["sections"]["drift"] = {"state": "warning", "seen": {"domains": [domain]}}
    after["sections"]["performance"] = {"state": "good", "seen": {"series": [series]}}
    after["sections"]["retrain"]["seen"]["comparison"] = {"challenger": "b", "champion": "a", "keeps": "champion"}
    after["silences"], after["undelivered"] = [{"pattern": "p/*", "by": "ann", "why": "w"}], {"mail": "no answer"}
    text = monitor_report(after).markdown()
    for said in (
        "rate",
        "loss",
        "b against a: the champion serves on",
        "silenced by ann",
        "mail did not take",
        "SIMULATED",
    ):
        assert said in text, said


def test_unfinished_files_are_left_out_and_damaged_ones_are_an_alert(world: World) -> None:
    path = max((world.root / "predictions" / "first").glob("usdjpy_*.parquet"))
    path.write_bytes(path.read_bytes()[:-100])
    assert {f["key"] for f in world.look()["findings"]} == {"monitor/parity"}
    world.bqx("paper", "run", "--models", "first", refused=MonitorInputError.code)
    path.with_name(f"{path.name}.json").unlink()
    assert world.look()["findings"] == []
    assert world.bqx("paper", "run", "--models", "first")["trades"] == 0
