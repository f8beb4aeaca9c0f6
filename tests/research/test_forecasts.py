"""The forecast table and the folder of a run: what is written is read, what breaks the contract is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from forecast_tables import forecast_run, forecast_table

from bqx.base.errors import ForecastError, QuarantinedError, RunError, TrainingError, UsageError
from bqx.research.training.folder import Run, names, open_run, runs
from bqx.research.training.forecasts import SCHEMA, check_forecasts, read_forecasts, write_forecasts
from bqx.research.training.quarantine import check_quarantine


def test_tables_are_read_as_written_and_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    table = forecast_table(60, weeks=2)
    for name in ("a", "b"):
        write_forecasts(tmp_path / name, table, horizon=60)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_forecasts(tmp_path / "a", horizon=60).equals(table)
    assert list(SCHEMA)[:6] == ["ts_utc", "position", "fold", "sigma", "cost", "left"] and len(SCHEMA) == 25


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.col("sigma").cast(pl.Float64), "columns differ.*sigma Float64"),
        (pl.lit(0.0).cast(pl.Float32).alias("sigma"), "sigma is not positive"),
        (pl.col("position").reverse(), "position does not rise"),
        (pl.col("ts_utc").reverse(), "ts_utc does not rise"),
        (pl.col("fold").reverse(), "fold falls"),
        (pl.when(pl.col("fold") > 0).then("f4").alias("f4"), "f4 is null in .* all or none"),
        (pl.lit(float("nan")).alias("y4"), "y4 is NaN or infinite"),
        (pl.col("q10") + 2.0, "q10 lies above q50"),
        (pl.col("hi80") + 2.0, "hi80 lies above hi90"),
        (pl.col("p_up") + 1.0, "p_up is outside"),
        (pl.lit(0.0).alias("r"), "a truth beyond the segment"),
        (pl.lit(None, pl.Int64).alias("position"), "position is null"),
        (pl.lit(-1.0).cast(pl.Float32).alias("cost"), "cost is negative"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_refused(change: pl.Expr, words: str) -> None:
    with pytest.raises(ForecastError, match=words):
        check_forecasts(forecast_table(60, weeks=2).with_columns(change), horizon=60)


def test_heads_that_were_not_trained_are_null_and_absent_files_are_said(tmp_path: Path) -> None:
    table = forecast_table(15, weeks=2).with_columns(pl.lit(None, pl.Float64).alias(k) for k in ("q05", "p_up"))
    assert check_forecasts(table, horizon=15) is table
    with pytest.raises(ForecastError, match="no forecast table"):
        read_forecasts(tmp_path / "none", horizon=15)
    (tmp_path / "torn").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ForecastError, match="not a readable Parquet file"):
        read_forecasts(tmp_path / "torn", horizon=15)
    with pytest.raises(ForecastError, match="no rows"):
        check_forecasts(table.clear(), horizon=15)


def test_a_made_run_is_found_and_its_planted_skill_is_there(tmp_path: Path) -> None:
    run = forecast_run(tmp_path, "oracle", r2=0.04, weeks=12)
    project = SimpleNamespace(root=tmp_path)
    assert names(tmp_path) == ["oracle"] and [r.name for r in runs(project)] == ["oracle"]  # type: ignore[arg-type]
    again = open_run(project, "oracle")  # type: ignore[arg-type]
    assert again.head == run.head and again.tables() == [(p, h) for p in run.pairs for h in run.horizons]
    table = again.forecasts("usdjpy", 15).drop_nulls("y4")
    skill = 1.0 - ((table["y4"] - table["f4"]) ** 2).sum() / (table["y4"] ** 2).sum()
    assert 0.02 < skill < 0.06 and abs(float(np.var(table["y4"].to_numpy())) - 1.0) < 0.1
    noise = forecast_run(tmp_path, "noise", weeks=12).forecasts("eurusd", 15).drop_nulls("y4")
    assert 1.0 - ((noise["y4"] - noise["f4"]) ** 2).sum() / (noise["y4"] ** 2).sum() < 0.002
    with pytest.raises(UsageError, match="no forecasts of gbpusd"):
        run.forecasts("gbpusd", 15)
    with pytest.raises(UsageError, match="there is noise, oracle"):
        open_run(project, "other")  # type: ignore[arg-type]


def test_a_head_that_was_changed_is_refused(tmp_path: Path) -> None:
    run = forecast_run(tmp_path, weeks=1, folds=1)
    path = run.folder / "run.json"
    head = json.loads(path.read_text())
    path.write_text(json.dumps({**head, "every": 5}))
    with pytest.raises(RunError, match="changed after"):
        Run.read(run.folder)
    path.write_text(json.dumps({k: v for k, v in head.items() if k != "mask"}))
    with pytest.raises(RunError, match="no 'mask'"):
        Run.read(run.folder)
    for text in ("{", "[]"):
        path.write_text(text)
        with pytest.raises(RunError):
            Run.read(run.folder)


def test_nothing_unfinished_or_too_good_passes_the_door(tmp_path: Path) -> None:
    run = forecast_run(tmp_path, weeks=1, folds=1)
    check_quarantine(run)
    for state, words in (("training", "not finished"), ("short", "short of its quorum")):
        with pytest.raises(TrainingError, match=words):
            check_quarantine(run.with_state(state, {}))  # type: ignore[arg-type]
    bad = run.with_state("quarantined", {"too_good": ["eurusd y4_15: skill 0.21"]})
    with pytest.raises(QuarantinedError, match=r"eurusd y4_15: skill 0\.21"):
        check_quarantine(Run.read(bad.folder))
    (run.folder / "signed.json").write_text(json.dumps({"run_hash": "another", "by": "x"}))
    with pytest.raises(QuarantinedError):
        check_quarantine(Run.read(bad.folder))
    (run.folder / "signed.json").write_text(json.dumps({"run_hash": run.hash, "by": "x"}))
    check_quarantine(Run.read(bad.folder))
