"""`bqx features check`, `certificates` and `show` as a user meets them, with and without a project."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bar_files import make_rows, metatrader
from bqx.build.project import Project
from bqx.cli.main import main
from bqx.features import catalogue
from bqx.market.calendar import minute_of
from bqx.market.simulated import simulate, simulated_source

Run = Callable[..., tuple[int, str, str]]
RETURNS = "returns_raw_rate"
START = minute_of(datetime(2024, 6, 16, 21, tzinfo=UTC))


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a MetaTrader file of eleven days, and no project."""
    path = tmp_path_factory.mktemp("files")
    metatrader(path / "EURUSD_M1.csv", make_rows(days=11))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("project") / "p"
    made = Project.create(path, pairs=["eurusd", "usdjpy"])
    frames = simulate(made.calendar, START, START + 12 * 1440, seed=3, pairs=made.pairs, origin_minute=START)
    for pair, frame in frames.items():
        made.bars.ingest(pair, frame, simulated_source(3))
    made.close()
    return path


def test_files_of_a_user_without_a_project(run: Run, folder: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "proof.json"
    code, out, err = run(
        "-C", tmp_path, "features", "check", "--bars", folder, "--dataset", "time_dual", "--out", out_file
    )
    assert code == 0, err
    assert "0 failed, 0 too short of bars, 0 without data" in out
    assert "time_dual.hour_sin" in out, "shares of NULL by column"
    assert "bars, 0 in quarantine, from metatrader (EURUSD_M1.csv)" in err
    assert "checking time_dual: 10 columns (1 of 1)" in err, "progress is on stderr"
    data = json.loads(out_file.read_text())
    mine = {c["column"]: c for c in data["certificates"]}
    assert set(mine) == set(catalogue.dataset("time_dual").by_name)
    one = mine["hour_sin"]
    assert (one["verdict"], one["pairs"], one["simulated"]) == ("passed", ["eurusd"], False)
    assert one["first"] == "2024-06-03T00:00Z"
    assert 0 <= one["max_error"] <= 1e-9
    assert one["code_hash"] == catalogue.dataset("time_dual").code_hash
    assert not list(tmp_path.glob("*.sqlite")), "nothing else is written"


def test_too_short_and_no_data_are_told_apart(run: Run, folder: Path, tmp_path: Path) -> None:
    """A column that needs weeks, one that needs quotes, one that is fine; none is a pass."""
    arguments = ["-C", tmp_path, "features", "check", "--bars", folder / "EURUSD_M1.csv", "--check", "nulls"]
    code, out, err = run(*arguments, "--dataset", "volume_rate", "--dataset", "spread_bqx", "--json")
    assert code == 5, "too little to compare is no pass"
    found = {f"{r['dataset']}.{r['column']}": r for r in json.loads(out)["results"]}
    short = found["volume_rate.vol_tod_z"]
    assert (short["outcome"], short["passed"]) == ("too short", False)
    need = catalogue.dataset("volume_rate").by_name["vol_tod_z"].warmup
    assert need > 20_000
    assert "it needs" in short["reason"]
    days = int(short["reason"].split("it needs ")[1].split(" days")[0])
    assert 28 < days < 84, "twelve weeks do"
    assert f"(warm-up {need:,} bars), not 11" in short["reason"]
    assert found["volume_rate.vol_ratio_60"]["outcome"] == "passed"
    lacking = [r for r in found.values() if r["outcome"] == "no data"]
    assert lacking
    assert all(r["dataset"] == "spread_bqx" and "has no bid and ask" in r["reason"] for r in lacking)
    assert not any(r["outcome"] == "failed" for r in found.values())
    assert "BQX301" in err


def test_usage(run: Run, folder: Path, tmp_path: Path) -> None:
    for arguments, what in (
        (["--bars", folder, "--simulated"], "two kinds of bars"),
        (["--bars", folder, "--pair", "eurusd", "--pair", "usdjpy"], "the pair of all files"),
        (["--check", "nul"], "unknown check"),
        (["--bars", folder, "--bars", folder / "EURUSD_M1.csv", "--dataset", "no_such_rate"], "unknown dataset"),
    ):
        code, _, err = run("-C", tmp_path, "features", "check", *arguments)
        assert code == 2
        assert what in err
    code, _, err = run("-C", tmp_path, "features", "check", "--bars", tmp_path / "absent.csv")
    assert (code, "no such file" in err) == (4, True)
    code, _, err = run("-C", tmp_path, "features", "certificates")
    assert (code, "not a bqx project" in err) == (3, True)


def test_certificates_of_a_project(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never certified -> partly -> passed -> out of date when code, version or formula change."""

    def states() -> dict[str, Any]:
        code, out, _ = run("-C", project, "features", "certificates", "--dataset", "time_dual", "--json")
        assert code == 0
        return {r["column"]: r for r in json.loads(out)}

    assert {r["state"] for r in states().values()} == {"never certified"}
    assert run("-C", project, "features", "check", "--dataset", "time_dual", "--check", "nulls")[0] == 0
    assert {r["state"] for r in states().values()} == {"some checks only"}
    code, out, _ = run("-C", project, "features", "check", "--dataset", "time_dual")
    assert (code, "SIMULATED bars" in out) == (0, True)
    found = states()
    assert all(r["holds"] and r["certificate"]["simulated"] for r in found.values())
    code, out, _ = run("-C", project, "features", "show", "time_dual.hour_sin")
    assert "certificate    passed: 9 checks passed, 0 failed, 0 short of values, largest error" in out
    assert "SIMULATED bars" in out
    code, out, _ = run("-C", project, "features", "show", "time_dual.hour_sin", "--json")
    assert json.loads(out)["certificate"]["holds"] is True
    code, out, _ = run("-C", project, "features", "certificates", "--dataset", "time_dual", "--out-of-date")
    assert out.startswith("10 columns: 10 passed")

    home = catalogue.dataset("time_dual")
    changes: dict[str, tuple[str, Any]] = {
        "out of date: the code changed": ("code_hash", "0" * 32),
        "out of date: version 2, certified was 1": ("version", 2),
    }
    for expected, (name, value) in changes.items():
        with monkeypatch.context() as patch:
            if name == "code_hash":
                patch.setattr(type(home), "code_hash", property(lambda _: "0" * 32))
            else:
                patch.setitem(home.__dict__, name, value)
            assert {r["state"] for r in states().values()} == {expected}
            code, out, _ = run("-C", project, "features", "certificates", "--dataset", "time_dual")
            assert "`bqx features check" in out
    with monkeypatch.context() as patch:
        item = home.columns[0]
        object.__setattr__(item, "formula", item.formula + " ")
        try:
            assert states()[item.name]["state"] == "out of date: the formula changed"
        finally:
            object.__setattr__(item, "formula", item.formula[:-1])


def test_a_failed_column_is_certified_as_failed(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = catalogue.dataset(RETURNS)
    honest = home.compute
    monkeypatch.setitem(home.__dict__, "compute", lambda s, names: {n: v * 2 for n, v in honest(s, names).items()})
    monkeypatch.setattr(type(home), "code_hash", property(lambda _: "1" * 32))
    code, out, err = run("-C", project, "features", "check", "--dataset", RETURNS, "--check", "reference")
    assert code == 5
    assert "FAILED    reference  returns_raw_rate.ret_1: " in out
    assert "BQX301" in err
    code, out, _ = run("-C", project, "features", "certificates", "--dataset", RETURNS, "--json")
    states = {r["column"]: r for r in json.loads(out)}
    assert states["ret_1"]["state"] == "failed"
    assert states["ret_1"]["certificate"]["max_error"] == pytest.approx(1.0)
    assert "values differ" in states["ret_1"]["certificate"]["reasons"][0]
