"""`bqx models`: from keys to a promotion that is refused with the reasons, and one that is not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bqx.build.project import Project
from bqx.cli.main import main

sys.path.append(str(Path(__file__).parents[1] / "research"))
sys.path.append(str(Path(__file__).parents[1] / "research" / "registry"))
from registered import World, backtest, make_world

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["-C", str(tmp_path / "p"), "models", *words])
        except SystemExit as done:
            code = int(done.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def world(tmp_path: Path) -> World:
    Project.create(tmp_path / "p", pairs=["eurusd", "usdjpy"]).close()
    return make_world(tmp_path / "p")


ME = ("--by", "tester", "--reason", "a test")


def test_from_registration_to_refusal_and_evidence(run: Run, world: World, tmp_path: Path) -> None:
    assert "no models" in run("list")[1]
    world.run("noise", seed=5, weeks=6)
    code, out, err = run("add", "noise", "--pairs", "eurusd")
    assert code == 0 and "eurusd:1" in out and "research: HOLD" in out and "SIMULATED" in out, err
    code, out, err = run("promote", "eurusd", *ME)
    assert code == 5 and "BQX838" in err and "GATE1 leakage: no evidence" in err and "no demonstrated skill" in err
    code, out, _ = run("show", "eurusd:1", "--json")
    data = json.loads(out)
    assert [g["name"] for g in data["gates"]] == [f"GATE{k}" for k in range(1, 9)]
    assert data["lineage"]["run"]["name"] == "noise" and data["changes"] == []
    code, out, err = run("evidence", "rollback", "eurusd")
    assert code == 0 and "GATE7 rollback: good" in out, err
    assert "nothing recorded of load" in run("show", "eurusd")[1]
    code, out, _ = run("users", "technical_rate.rsi_14")
    assert code == 0 and "no models" in out
    code, out, err = run("report", "eurusd", "--out", str(tmp_path / "r"))
    assert code == 0 and (tmp_path / "r" / "model-eurusd-1.html").is_file(), err
    code, out, err = run("archive", "eurusd", *ME)
    assert code == 0 and "archived" in out
    assert run("restore", "eurusd", *ME)[0] == 2


def test_a_promotion_that_passes(run: Run, world: World) -> None:
    made = world.run("good", r2=0.03, weeks=12)
    world.leakage()
    backtest(made)
    world.hand_in()
    assert run("add", "good")[0] == 0
    code, out, err = run("promote", "eurusd", *ME, "--dry-run")
    assert code == 0 and "would rise" in out, err
    assert "eurusd:1 is approved" in run("promote", "eurusd", *ME)[1]
    assert "eurusd:1 is production" in run("promote", "eurusd", *ME)[1]
    code, out, _ = run("compare", "eurusd:1", "eurusd:1")
    assert code == 0 and out.count("no demonstrated difference") == 4
    assert json.loads(run("list", "--state", "production", "--json")[1])[0]["research"] is False


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({}, 0, "good"),
        ({"errors": 1}, 5, "not good"),
        ({"p99_ms": 251.0}, 5, "not good"),
        ({"check": "kill"}, 2, "CHECK=api-load"),
        ({"commit": None}, 2, "CHECK=api-load"),
    ],
)
def test_a_soak_result_is_handed_in(
    run: Run, world: World, tmp_path: Path, change: dict[str, Any], code: int, words: str
) -> None:
    data = {"check": "api-load", "commit": "c", "errors": 0, "p99_ms": 12.0, "requests": 600, **change}
    (tmp_path / "r.json").write_text(json.dumps({k: v for k, v in data.items() if v is not None}))
    found, out, err = run("evidence", "load", str(tmp_path / "r.json"))
    assert found == code and words in out + err


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 5)])
def test_the_monitors_are_handed_in(run: Run, world: World, tmp_path: Path, ok: bool, code: int) -> None:
    data = {"check": "monitors", "commit": "c", "ok": ok, "worlds": 200, "false_alarms_a_month": 0.4}
    (tmp_path / "r.json").write_text(json.dumps(data))
    assert run("evidence", "monitors", str(tmp_path / "r.json"))[0] == code
    assert world.registry.evidence("GATE8", "any")["monitors"]["ok"] is ok


def test_a_key_pair(run: Run, world: World, tmp_path: Path) -> None:
    from bqx.base.secret import Secret
    from bqx.research.artefact import Signer, read_trusted

    code, out, err = run("keys", "--out", str(tmp_path / "key"), "--comment", "me")
    assert code == 0, err
    private = (tmp_path / "key").read_text().strip()
    assert private not in out and (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert Signer(Secret(private)).public in read_trusted(tmp_path / "p")
    assert run("keys", "--trust", "short")[0] == 6
    assert run("keys")[0] == 2
