"""The small siblings of the soaks `train-scale` and `train-phases`, and what makes each of them fail."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from training_worlds import COLUMNS

from bqx.research.dataset import Dataset
from bqx.research.training.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[2]))
scale: Any = importlib.import_module("benchmarks.soak.train_scale")
phases: Any = importlib.import_module("benchmarks.soak.train_phases")


def test_a_law_is_fitted_and_held_against_another_cell(noise_dataset: Dataset) -> None:
    settings = Settings(estimator="ridge", heads=("point",), horizons=(15, 60), folds=(0, 1))
    found = scale.measure(noise_dataset, COLUMNS, settings, 2)
    assert found["state"] == "done" and found["cells"] == 8
    assert found["held_back"]["told"] > 0 and found["held_back"]["rows"] > 500
    assert found["full"]["cells"] == 28 * 5 * found["full"]["folds"] and found["full"]["core_hours"] > 0
    assert found["peak_gb"] > 0.1 and found["memory_forecast_gb"] > 0.3, "the peak is of all tests in this process"
    assert len(scale.drawn(0)) == len(set(scale.drawn(0))) == 250


def test_a_law_that_is_wrong_or_memory_beyond_the_forecast_fails() -> None:
    assert scale.verdict(1.1, 1.0, 1e9, 1e9)["ok"]
    assert not scale.verdict(1.5, 1.0, 1e9, 1e9)["ok"] and not scale.verdict(0.5, 1.0, 1e9, 1e9)["ok"]
    assert not scale.verdict(1.1, 1.0, 2e9, 1e9)["ok"]


def test_phases_are_compared_and_a_wrong_order_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [phases.one_world(k, odd=k % 2 == 1, train=30_000, test=6_000) for k in range(8)]
    found = phases.judged(trials)
    uneven = found["full hours count more"]
    assert uneven[phases.FIXED]["more_than_rotated"] < 0, "full hours mislead about the other minutes"
    swap = {phases.FIXED: phases.EVERY, phases.EVERY: phases.FIXED}
    wrong = [{**t, "skill": {swap.get(k, k): v for k, v in t["skill"].items()}} for t in trials]
    assert not phases.judged(wrong)["ok"]
