"""A run that was really trained, on a market of noise, from the dataset to the page."""

from __future__ import annotations

from training_worlds import order

from bqx.research.dataset import Dataset
from bqx.research.evaluation.evaluate import evaluate
from bqx.research.evaluation.report import evaluation_report
from bqx.research.training.run import train


def test_a_ridge_on_noise_demonstrates_nothing(noise_dataset: Dataset) -> None:
    run = train(order(noise_dataset, horizons=(15, 30), heads=("point", "quantile", "direction")), "evaluated")
    project = noise_dataset.project
    found = evaluate(project.root, run, calendar=project.calendar, draws=300)
    assert found.verdict.startswith("SIMULATED DATA: no demonstrated skill: ") and not found.too_good
    assert found.facts["data"] == [noise_dataset.data["first"], noise_dataset.data["last"]]
    assert found.facts["assumed_cost"] == noise_dataset.data["cost"] and found.facts["trials"] > 0
    assert {c.pair for c in found.pooled.cells} == set(run.pairs)
    assert all(
        c.found.n_rows == len(run.forecasts(c.pair, c.found.horizon or 0).drop_nulls("y3")) for c in found.pooled.cells
    )
    assert 0.85 < found.spread.coverage["90"]["pooled"].share < 0.95
    page = evaluation_report(found).markdown()
    assert f"- dataset: **{noise_dataset.name} ({noise_dataset.hash})**" in page and "- leakage tests: **" in page
