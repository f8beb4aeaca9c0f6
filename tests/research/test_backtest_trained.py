"""From `bqx train` to `bqx backtest`: a ridge on noise, traded on the bars of its dataset, before its seal."""

from __future__ import annotations

import json

import polars as pl
from training_worlds import cli, order

from bqx.build.project import Project
from bqx.market.calendar import minute_of
from bqx.research.backtest.inputs import inputs
from bqx.research.backtest.result import TRADES
from bqx.research.backtest.settings import Settings
from bqx.research.dataset import Dataset
from bqx.research.skill import NO_SKILL
from bqx.research.training.run import train
from bqx.research.trials import Trials


def test_a_trained_run_is_traded_and_noise_earns_nothing(noise_dataset: Dataset, noise_world: Project) -> None:
    run = train(order(noise_dataset, horizons=(15,), heads=("point",)), "traded")
    before = Trials(noise_world.root).count(dataset=noise_dataset.hash)
    found = cli(noise_world, "backtest", "traded", "--cost-bps", "0.01", "--seeds", "20")
    assert found["run_hash"] == run.hash
    assert found["dataset_present"]
    assert found["simulated"]
    assert found["verdict"] == NO_SKILL
    assert found["sharpe"] is None and "20 are the least" in found["missing"]["sharpe"], "the folds hold three weeks"
    trials = Trials(noise_world.root).count(dataset=noise_dataset.hash)
    assert trials == before + 4
    given = inputs(noise_world, run, Settings())
    assert given.dataset is not None
    assert given.feed.end <= noise_dataset.sealed_from
    trades = pl.read_parquet(run.folder / TRADES)
    assert trades.height == found["summary"]["trades"] > 50
    assert trades["exited"].max() < noise_dataset.sealed_from
    first = minute_of(run.forecasts("eurusd", 15)["ts_utc"][0])
    assert trades["decided"].min() >= first
    kept = json.loads((run.folder / "backtest.json").read_text())
    assert kept["by_pair"] == found["by_pair"]
