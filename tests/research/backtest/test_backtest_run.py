"""A whole backtest of a run on disk: what is written, counted, shown and refused."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from market_worlds import planted_run, traded_project

from bqx.base.errors import BacktestError, BacktestInputError, BqxError, CheckError, QuarantinedError
from bqx.build.project import Project
from bqx.cli.main import root
from bqx.market.calendar import Calendar, month_span
from bqx.research.backtest.report import backtest_report
from bqx.research.backtest.result import RESULT, TRADES, read_result, rule_of
from bqx.research.backtest.run import backtest
from bqx.research.backtest.settings import Settings
from bqx.research.backtest.sizing import Sizing
from bqx.research.skill import NO_SKILL
from bqx.research.trials import Trial, Trials

WEEKS = 5
FAST = {"seeds": 40}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, dict[str, pl.DataFrame], int, int]]:
    """Five weeks of two pairs, with runs `skilled` (R2 0.05) and `noise`."""
    calendar = Calendar.load()
    start = calendar.week_start(month_span("2024_02")[0])
    end = calendar.at_ordinal(calendar.ordinal(start) + WEEKS * 7200 - 1) + 1
    project, frames = traded_project(tmp_path_factory.mktemp("bt") / "p", ("eurusd", "usdjpy"), start, end, seed=3)
    planted_run(project, frames, "skilled", (15, 60), start, end, r2=0.05)
    planted_run(project, frames, "noise", (15, 60), start, end, r2=0.0)
    yield project, frames, start, end


@pytest.fixture(scope="module")
def skilled(world) -> dict:
    from bqx.research.training.folder import open_run

    return backtest(world[0], open_run(world[0], "skilled"), Settings(cost_bps=0.1, **FAST))


def test_planted_skill_passes_the_economics_gate(world, skilled):
    """R2 0.05 at 0.1 bp: expectancy above 0 with its bound and at 1.5 times the costs, DSR above 0.95."""
    assert skilled["gates"]["GATE4"]["passed"]
    assert skilled["deflated"]["dsr"] > 0.95
    assert skilled["sharpe"]["low"] > 0
    assert skilled["benchmarks"]["random"]["p"] < 0.05
    assert skilled["benchmarks"]["random_walk_signal"]["high90"] < skilled["expectancy"][0]["low90"]
    assert skilled["benchmarks"]["random_walk_forecast"]["trades"] == 0
    assert skilled["verdict"] != NO_SKILL
    assert skilled["spread"] | {"table": []} == {
        "source": "fixed", "estimated": False, "estimated_share": 0.0, "table": [], "estimators": [],
    }  # fmt: skip


@pytest.mark.parametrize("cost", [0.1, None])
def test_noise_earns_nothing(world, cost):
    from bqx.research.training.folder import open_run

    found = backtest(world[0], open_run(world[0], "noise"), Settings(cost_bps=cost, **FAST))
    assert found["summary"]["trades"] > 200
    assert not found["gates"]["GATE4"]["passed"]
    assert found["deflated"]["dsr"] < 0.95
    assert found["verdict"] == NO_SKILL
    assert found["expectancy"][0]["low90"] < 0
    assert found["benchmarks"]["random"]["p"] > 0.05


def test_what_is_written(world, skilled):
    """JSON without NaN, the trades it counts, sums that agree, the same again but for time and run."""
    from bqx.research.training.folder import open_run

    project = world[0]
    run = open_run(project, "skilled")
    assert read_result(run) == json.loads(json.dumps(skilled))
    for key in ("run_hash", "dataset_hash", "lag_profile", "catalogue_version", "window", "settings", "missing"):
        assert key in skilled
    trades = pl.read_parquet(run.folder / TRADES)
    assert trades.height == skilled["summary"]["trades"] > 500
    weighted = (trades["weight"] * trades["net_bps"]).sum()
    assert weighted == pytest.approx(skilled["costs"]["net"])
    assert weighted == pytest.approx(sum(skilled["daily"]["pnl_bps"]), abs=1e-6)
    for group in ("by_pair", "by_horizon", "by_fold"):
        assert sum(g["profit_bps"] for g in skilled[group]) == pytest.approx(weighted)
        assert sum(g["trades"] for g in skilled[group]) == trades.height
    assert sum(m["profit_bps"] for m in skilled["summary"]["months"]) == pytest.approx(weighted, abs=1e-6)
    before = Trials(project.root).count(dataset=run.head["dataset_hash"])
    again = backtest(project, run, Settings(cost_bps=0.1, **FAST))
    loose = ("made_at", "run_id", "deflated", "gates")  # the ledger may have grown since
    assert {k: v for k, v in again.items() if k not in loose} == {k: v for k, v in skilled.items() if k not in loose}
    after = Trials(project.root).count(dataset=run.head["dataset_hash"])
    assert after == before, "the same settings are the same trials"
    assert again["deflated"]["trials"] == after
    other = backtest(project, run, Settings(cost_bps=0.1, margin_bps=0.2, **FAST))
    assert other["deflated"]["trials"] == after + 12
    tuned = [Trial("tune", "ridge", {"n": n}, dataset=run.head["dataset_hash"]) for n in range(500)]
    Trials(project.root).record(tuned)
    last = backtest(project, run, Settings(cost_bps=0.1, **FAST))
    assert last["deflated"]["trials"] == after + 512, "whatever was tried on the dataset counts"
    assert last["deflated"]["benchmark"] > skilled["deflated"]["benchmark"] * 1.2
    assert last["deflated"]["dsr"] < skilled["deflated"]["dsr"]


def test_the_page(world, skilled, tmp_path):
    page = backtest_report(skilled).write(tmp_path, "b")[0].read_text()
    for words in ("SIMULATED DATA", "deflated Sharpe ratio", "random entries of equal turnover", "GATE5", "drawdown"):
        assert words in page
    noise = {**skilled, "verdict": NO_SKILL}
    assert NO_SKILL in backtest_report(noise).html()
    wrong = {**skilled, "costs": {**skilled["costs"], "net": skilled["costs"]["net"] + 1.0}}
    with pytest.raises(CheckError, match="gross less costs"):
        backtest_report(wrong)


def test_without_quotes_the_page_says_estimated(tmp_path):
    from bqx.research.training.folder import open_run

    calendar = Calendar.load()
    start = calendar.week_start(month_span("2024_02")[0])
    end = calendar.at_ordinal(calendar.ordinal(start) + 9 * 1440)
    project, frames = traded_project(tmp_path / "p", ("eurusd",), start, end, seed=1, quotes=False)
    planted_run(project, frames, "r", (60,), start, end, r2=0.3)
    found = backtest(project, open_run(project, "r"), Settings(**FAST))
    assert found["spread"]["estimated"]
    assert found["spread"]["source"] == "estimated"
    assert found["spread"]["estimators"][0]["assumed"] > 0
    assert found["sharpe"] is None, "nine days"
    assert "least" in found["missing"]["sharpe"]
    assert found["verdict"] == NO_SKILL
    html = backtest_report(found).html()
    assert "ESTIMATED" in html
    assert "n/a" in html


def test_a_rule_that_never_trades(world):
    from bqx.research.training.folder import open_run

    found = backtest(world[0], open_run(world[0], "noise"), Settings(cost_bps=1000.0, **FAST))
    assert found["summary"]["trades"] == 0
    assert found["expectancy"][0]["mean"] is None
    assert found["verdict"] == NO_SKILL
    assert not any(g["passed"] for g in found["gates"].values())
    assert "n/a" in backtest_report(found).html()


def test_kelly_trades_only_on_earlier_evidence(world):
    """No size in the first fold, sizes in later ones where the lower bound of the edge is positive; noise never."""
    from bqx.research.training.folder import open_run

    project = world[0]
    settings = Settings(cost_bps=0.1, sizing=Sizing(kelly=0.25, most=1.0), **FAST)
    found = backtest(project, open_run(project, "skilled"), settings)
    trades = pl.read_parquet(open_run(project, "skilled").folder / TRADES)
    assert trades["fold"].min() >= 1
    assert trades.height > 100
    assert found["refused"]["no evidence for a size"] > 50
    backtest(project, open_run(project, "skilled"), Settings(cost_bps=0.1, **FAST))


def test_refusals(world, tmp_path):
    from bqx.research.training.folder import open_run

    project, frames, start, end = world
    bad = planted_run(project, {"eurusd": frames["eurusd"]}, "leak", (15,), start, end, r2=0.5, state="quarantined")
    with pytest.raises(QuarantinedError):
        backtest(project, bad, Settings())
    assert not (bad.folder / RESULT).exists()
    with pytest.raises(BacktestInputError, match="no horizon 30"):
        backtest(project, open_run(project, "noise"), Settings(horizons=(30,)))
    alone = Project.create(tmp_path / "q", pairs=("gbpusd",))
    lost = planted_run(alone, {"eurusd": frames["eurusd"]}, "r", (15,), start, end, r2=0.0)
    with pytest.raises(BacktestInputError, match="no bars of eurusd"):
        backtest(alone, lost, Settings())
    for make in (lambda: Settings(cost_bps=-1.0), lambda: Settings(seeds=3), lambda: Settings(cost_bps=math.nan)):
        with pytest.raises(BacktestError):
            make()
    skilled = open_run(project, "skilled")
    (bad.folder / RESULT).write_text((skilled.folder / RESULT).read_text())
    with pytest.raises(BacktestInputError, match="not of this run"):
        read_result(bad)
    (bad.folder / RESULT).write_text("{")
    with pytest.raises(BacktestInputError, match="cannot be read"):
        read_result(bad)


def test_killed_while_writing_the_old_result_stays(world, skilled):
    project = world[0]
    folder = project.root / "models" / "noise"
    before = (folder / RESULT).read_bytes()
    code = (
        "from bqx.build.project import Project; from bqx.research.training.folder import open_run;"
        "from bqx.research.backtest.result import write_result;"
        f"r = open_run(Project.open({str(project.root)!r}), 'noise'); write_result(r.folder, {{'format': 1}}, [])"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "BQX_FAULT": "after-fsync:2"}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (folder / RESULT).read_bytes() == before


def test_command(world, tmp_path):
    project = world[0]
    runner = CliRunner()
    base = ["-C", str(project.root), "backtest", "skilled", "--cost-bps", "0.1", "--seeds", "20", "--json"]
    before = (project.root / "models" / "skilled" / RESULT).read_bytes()
    dry = runner.invoke(root, [*base, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert json.loads(dry.stdout)["decisions"] > 1000
    assert (project.root / "models" / "skilled" / RESULT).read_bytes() == before
    done = runner.invoke(root, [*base, "--horizons", "60", "--out", str(tmp_path), "--currency-cap", "0"])
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert data["horizons"] == [60]
    assert data["settings"]["sizing"]["currency_cap"] is None
    assert Path(data["report"][0]).is_file()
    text = runner.invoke(root, [*base[:-1], "--out", str(tmp_path), "--margin-bps", "0.5"])
    for words in ("SIMULATED DATA", "net Sharpe ratio", "random entries", "GATE4"):
        assert words in text.stdout
    wrong = runner.invoke(root, [*base, "--horizons", "x"])
    assert isinstance(wrong.exception, BqxError)


def test_the_rule_that_was_tested_is_the_rule_to_serve(skilled):
    assert rule_of(skilled) == Settings(cost_bps=0.1).setup().rule
    odd = Settings(margin_bps=0.3, shrink=0.8)
    assert rule_of({"settings": odd.as_dict()}) == odd.setup().rule
    assert rule_of(None).extra_cost_bps == pytest.approx(0.8), "slippage and commission of both sides"


def test_settings_are_kept_whole():
    s = Settings(cost_bps=0.2, margin_bps=0.1)
    assert s.setup().rule.extra_cost_bps == 0.0
    assert replace(s, cost_bps=None).setup().rule.extra_cost_bps == pytest.approx(0.8)
    assert json.loads(json.dumps(s.as_dict()))["costs"]["commission_bps"] == 0.0


def test_the_manual():
    """docs/backtest.md: its Python prints what it says, its options exist, its keys are those of the result."""
    import contextlib
    import io
    import re

    page = (Path(__file__).parents[3] / "docs" / "backtest.md").read_text()
    block = re.search(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert block is not None
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(block[1], {})
    assert out.getvalue().strip() == re.findall(r"^# (.+)$", block[1], re.M)[-1]
    text = CliRunner().invoke(root, ["backtest", "--help"]).output
    options = set(re.findall(r"--[a-z-]+", re.search(r"^```sh\n(.*?)^```$", page, re.M | re.S)[1]))
    assert options
    assert [o for o in options | set(re.findall(r"`(--[a-z-]+)`", page)) if o not in text] == []


def test_the_manual_s_keys(skilled):
    import re

    page = (Path(__file__).parents[3] / "docs" / "backtest.md").read_text()
    table = page[page.index("## backtest.json") : page.index("## The same code live")]
    rows = re.findall(r"^\| (`.+?) \|", table, re.M)
    named = {k for row in rows for k in re.findall(r"`(\w+)`", row)}
    assert named <= set(skilled)
    assert len(named) > 20
