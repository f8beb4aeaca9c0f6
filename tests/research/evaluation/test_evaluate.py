"""A run from its folder to evaluation.json and the page: what stands there, what is refused, the same twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from forecast_tables import forecast_run, forecast_table

from bqx.base.errors import EvaluationError, QuarantinedError, TrainingError, UsageError
from bqx.build.project import Project
from bqx.cli.main import main
from bqx.research.evaluation.evaluate import NAME, Evaluation, evaluate
from bqx.research.evaluation.report import evaluation_report
from bqx.research.evaluation.standard import shown
from bqx.research.evaluation.traded import NAME as BACKTEST
from bqx.research.evaluation.traded import traded
from bqx.research.leakage.record import record, recorded, status
from bqx.research.leakage.result import LeakResult
from bqx.research.training.folder import Run
from bqx.research.training.forecasts import write_forecasts
from bqx.research.trials import Trial, Trials

SMALL: dict[str, Any] = {"weeks": 3, "folds": 3, "horizons": (15, 60)}
DRAWS = 200
FIELDS = (
    "verdict", "target", "horizon, bars", "window", "benchmark", "skill", "95 % interval", "pure noise gets up to",
    "Diebold-Mariano p", "best q of a pair and horizon", "hit rate", "break-even hit rate", "net Sharpe",
    "deflated Sharpe", "PBO", "turnover", "cost", "rows", "rows, effective", "trials on this dataset", "test window",
    "data window", "leakage tests", "catalogue", "lag profile", "dataset", "run", "code",
)  # fmt: skip
"""The reporting standard H.12."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evaluated") / "p"
    Project.create(path, pairs=("eurusd", "usdjpy")).close()
    Trials(path).record([Trial("forecast", "ridge", {"penalty": k}, dataset="0" * 32) for k in range(7)])
    return path


@pytest.fixture(scope="module")
def noise(root: Path) -> Evaluation:
    return evaluate(root, forecast_run(root, "noise", **SMALL), draws=DRAWS)


@pytest.fixture(scope="module")
def planted(root: Path) -> Evaluation:
    return evaluate(root, forecast_run(root, "planted", r2=0.03, seed=1, **SMALL), draws=DRAWS)


def told(found: Evaluation) -> str:
    return evaluation_report(found).markdown()


def test_noise_is_told_as_such(noise: Evaluation, planted: Evaluation) -> None:
    page = told(noise)
    assert noise.pooled.pooled.walk.low < 0.0 and "no demonstrated skill" in noise.verdict
    assert "SIMULATED DATA: no demonstrated skill" in page and "skill against the random walk |" not in page
    assert "pure noise gets up to" in page
    assert planted.verdict.startswith("SIMULATED DATA: skill against the random walk: ")
    assert planted.pooled.pooled.walk.low > 0.0


def test_every_field_of_the_standard_is_on_the_page(noise: Evaluation) -> None:
    assert tuple(name for name, _ in shown(noise.facts)) == FIELDS
    page, html = told(noise), evaluation_report(noise).html()
    for name in FIELDS:
        assert f"- {name}: **" in page, name
        assert f">{name}<" in html, name
    assert noise.facts["trials"] == 7 and noise.facts["net_sharpe"] == "not run"
    assert "- leakage tests: **not run**" in page and "- trials on this dataset: **7**" in page


def test_what_is_written_is_what_was_found_and_the_same_twice(root: Path, noise: Evaluation) -> None:
    run = Run.read(root / "models" / "noise")
    stored = json.loads((run.folder / NAME).read_text())
    again = evaluate(root, run, draws=DRAWS).as_dict()
    for made in (stored, again):
        made.pop("made_at")
        made.pop("run_id")
    assert stored == json.loads(json.dumps(again))
    cells = stored["targets"]["y4"]["cells"]
    assert {(c["pair"], c["horizon"]) for c in cells} == {(p, h) for p in run.pairs for h in run.horizons}
    assert stored["complete"] and not stored["quarantined"] and stored["primary"] == "y3"
    assert set(stored["spread"]["coverage"]) == {"80", "90"}


def test_made_quantiles_and_intervals_are_right(planted: Evaluation) -> None:
    s = planted.spread
    assert 0.88 <= s.coverage["90"]["pooled"].share <= 0.92 and 0.78 <= s.coverage["80"]["pooled"].share <= 0.82
    assert s.pit["pooled"].p > 0.001 and s.crps is not None and s.brier is not None
    assert s.crps.skill > 0.0 and s.brier.skill > 0.0
    assert s.pinball["0.50"] > s.pinball["0.05"] > 0.0
    strata = [p for p in s.coverage["90"] if ", " in p]
    assert sum(s.coverage["90"][p].n for p in strata) == s.coverage["90"]["pooled"].n
    assert list(s.coverage["90"])[:3] == ["pooled", "h = 15", "h = 60"]


def test_intervals_that_are_too_narrow_are_outside(root: Path) -> None:
    run = forecast_run(root, "narrow", **SMALL)
    for pair, h in run.tables():
        table = run.forecasts(pair, h).with_columns(
            (pl.col(k) * 0.7).alias(k) for k in ("lo80", "hi80", "lo90", "hi90")
        )
        write_forecasts(run.forecast_path(pair, h), table, horizon=h)
    found = evaluate(root, run, draws=DRAWS)
    assert found.spread.within is False and not found.spread.coverage["90"]["pooled"].within
    assert "outside" in told(found)


def test_a_part_of_a_run_is_not_written(root: Path) -> None:
    run = forecast_run(root, "part", **SMALL)
    lines: list[str] = []
    found = evaluate(root, run, pairs=["usdjpy"], horizons=[60], draws=DRAWS, note=lines.append)
    assert not found.complete and not (run.folder / NAME).exists() and len(lines) == 1
    assert found.facts["horizons"] == [60] and "no gate reads this" in told(found)
    for wrong in ({"pairs": ["gbpusd"]}, {"horizons": [30]}):
        with pytest.raises(UsageError, match="it has"):
            evaluate(root, run, **wrong)  # type: ignore[arg-type]


def test_quarantined_and_unfinished_runs_are_refused(root: Path) -> None:
    run = forecast_run(root, "odd", **SMALL)
    with pytest.raises(TrainingError, match="not finished"):
        evaluate(root, run.with_state("training", {}))
    bad = run.with_state("quarantined", {"too_good": ["eurusd y4_15"]})
    with pytest.raises(QuarantinedError):
        evaluate(root, bad)
    assert not (run.folder / NAME).exists()
    (run.folder / "signed.json").write_text(json.dumps({"run_hash": run.hash, "by": "A. Person"}))
    signed = evaluate(root, Run.read(run.folder), draws=DRAWS)
    assert signed.signed is not None and not signed.quarantined


def test_what_is_too_good_is_quarantined_until_signed(root: Path) -> None:
    run = forecast_run(root, "leak", r2=0.25, **SMALL)
    found = evaluate(root, run, draws=DRAWS)
    assert found.quarantined and found.word.startswith("quarantined") and "look for a leak" in told(found)
    assert json.loads((run.folder / NAME).read_text())["quarantined"]
    with pytest.raises(QuarantinedError, match="pooled"):
        evaluate(root, Run.read(run.folder))
    (run.folder / "signed.json").write_text(json.dumps({"run_hash": run.hash, "by": "A. Person"}))
    signed = evaluate(root, Run.read(run.folder), draws=DRAWS)
    assert not signed.quarantined and "signed by A. Person" in signed.verdict and signed.too_good
    assert signed.pooled.pooled.verdict == "skill against the random walk", "gates ask for skill now"
    assert "Above the limits of L14" in told(signed)


def other(root: Path, name: str, quality: float) -> Run:
    """The run "planted" with another forecast."""
    return forecast_run(root, name, r2=0.03, seed=1, quality=quality, **SMALL)


def test_other_runs_are_benchmarks(root: Path, planted: Evaluation) -> None:
    run, worse = Run.read(root / "models" / "planted"), other(root, "worse", 3.0)
    found = evaluate(root, run, against=[worse], pairs=["eurusd"], draws=DRAWS)
    beaten = found.pooled.pooled.against["worse"]
    assert beaten.low > 0.0 and beaten.p < 0.01
    assert found.pooled.confidence is not None and "worse" not in found.pooled.confidence.kept
    assert "| worse |" in told(found) and "No ridge or other run was compared with" not in told(found)
    with pytest.raises(UsageError, match="planted"):
        evaluate(root, run, against=[run])
    with pytest.raises(EvaluationError, match="other truths"):
        evaluate(root, run, against=[forecast_run(root, "stranger", seed=9, **SMALL)])


def test_heads_that_were_not_trained(root: Path) -> None:
    run = forecast_run(root, "points", **SMALL)
    for pair, h in run.tables():
        gone = ("f3", "q05", "q10", "q50", "q90", "q95", "lo80", "hi80", "lo90", "hi90", "p_up", "clim4")
        table = forecast_table(h, weeks=3, folds=3).with_columns(pl.lit(None, pl.Float64).alias(k) for k in gone)
        write_forecasts(run.forecast_path(pair, h), table, horizon=h)
    found = evaluate(root, run, draws=DRAWS)
    assert found.primary == "y4" and set(found.targets) == {"y4"} and found.spread.within is None
    assert set(found.pooled.pooled.against) == {"random walk", "persistence"}
    assert "No intervals were trained" in told(found)


def test_a_forecast_of_nothing_has_no_sign_and_no_slope(root: Path) -> None:
    run = forecast_run(root, "zero", **SMALL)
    for pair, h in run.tables():
        table = run.forecasts(pair, h).with_columns(pl.lit(0.0).alias(k) for k in ("f3", "f4"))
        write_forecasts(run.forecast_path(pair, h), table, horizon=h)
    found = evaluate(root, run, draws=DRAWS)
    assert found.pooled.pooled.walk.skill == 0.0 and "no demonstrated skill" in found.verdict
    page = told(found)
    assert "n/a (no forecast has a sign)" in page and "the forecast is constant" in page


def test_a_forecast_that_is_the_outcome(root: Path) -> None:
    """The plainest leak passes through every test and ends in quarantine."""
    run = forecast_run(root, "perfect", **SMALL)
    for pair, h in run.tables():
        known = [pl.col(y).fill_null(0.1).alias(f) for y, f in (("y3", "f3"), ("y4", "f4"))]
        write_forecasts(run.forecast_path(pair, h), run.forecasts(pair, h).with_columns(known), horizon=h)
    found = evaluate(root, run, draws=DRAWS)
    assert found.quarantined and found.pooled.pooled.walk.skill == 1.0
    assert json.loads((run.folder / NAME).read_text())["quarantined"]
    assert Run.read(run.folder).state == "quarantined"


def test_absent_tables_are_named(root: Path) -> None:
    run = forecast_run(root, "holes", **SMALL)
    run.forecast_path("usdjpy", 60).unlink()
    found = evaluate(root, run, draws=DRAWS)
    assert found.complete and found.absent == ("usdjpy, h = 60",)
    assert "no forecasts of usdjpy, h = 60" in told(found)
    for pair, h in run.tables():
        run.forecast_path(pair, h).unlink()
    with pytest.raises(EvaluationError, match="no forecast tables"):
        evaluate(root, run)


def test_backtest_and_leakage_reach_the_facts(root: Path) -> None:
    run = forecast_run(root, "traded", **SMALL)
    told_by_backtest = {
        "run_hash": run.hash, "sharpe": {"ratio": 0.5, "low": -0.4, "high": 1.25},
        "deflated": {"dsr": 0.125}, "pbo": None,
        "summary": {"turnover": 40.0, "costs_bps_of_notional": 0.75}, "spread": {"source": "quotes"},
        "missing": {"pbo": "16 blocks need more days"},
    }  # fmt: skip
    (run.folder / BACKTEST).write_text(json.dumps(told_by_backtest))
    folder = root / "datasets" / "made"
    results = [LeakResult("L1", "a", 600, 0, ""), LeakResult("L5", "b", 600, 2, "")]
    record(folder, "0" * 32, "eurusd", results)
    page = told(evaluate(root, run, pairs=["eurusd"], horizons=[15], draws=DRAWS))
    assert "- net Sharpe: **0.500 (-0.400 to 1.250)**" in page and "- deflated Sharpe: **0.125**" in page
    assert (
        "- PBO: **16 blocks need more days**" in page
        and "- cost: **0.750 bps of notional paid, spreads: quotes**" in page
    )
    assert "- leakage tests: **FAILED: L5 of 2 tests on eurusd" in page
    record(folder, "0" * 32, "eurusd", results[:1])
    assert status(recorded(folder, "0" * 32)).startswith("all passed: 1 tests")
    assert recorded(folder, "1" * 32) is None, "of another dataset"
    (folder / "leakage.json").unlink()
    for text in ("[", "{}"):
        (run.folder / BACKTEST).write_text(text)
        with pytest.raises(EvaluationError, match=r"backtest\.json"):
            traded(run)


Go = Callable[..., tuple[int, str, str]]


@pytest.fixture
def go(capsys: pytest.CaptureFixture[str], root: Path) -> Go:
    def call(*args: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["-C", str(root), *args])
        except SystemExit as done:
            code = int(done.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_the_command(go: Go, root: Path, tmp_path: Path, noise: Evaluation) -> None:
    ask = ("evaluate", "noise", "--draws", "200", "--out", str(tmp_path))
    code, out, err = go(*ask)
    assert code == 0, err
    assert "SIMULATED DATA: no demonstrated skill" in out and "noise to" in out and "4 of 4" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"evaluation-noise.{s}" for s in ("html", "json", "md")]
    code, out, err = go(*ask, "--json", "--pairs", "EUR/USD", "--horizons", "15")
    found = json.loads(out)
    assert code == 0 and not found["complete"] and found["standard"]["horizons"] == [15]
    assert go("evaluate", "noise", "--horizons", "x")[0] == 2
    assert go("evaluate", "nobody")[0] == 2
    forecast_run(root, "glow", r2=0.25, **SMALL)
    code, _, err = go("evaluate", "glow", "--draws", "200", "--out", str(tmp_path))
    assert code == 5 and "BQX826" in err and "too good to be true" in err
