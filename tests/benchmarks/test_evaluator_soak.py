"""The small siblings of the soaks `evaluator-noise` and `evaluator-planted`, and what makes each of them fail."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

from bqx.research.evaluation import judge

noise: Any = importlib.import_module("benchmarks.soak.evaluator_noise")
planted: Any = importlib.import_module("benchmarks.soak.evaluator_planted")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    """Two pairs for five weeks, labels of 75 bars; three of 24 worlds may be missed."""
    whole = noise.trial
    monkeypatch.setattr(noise, "PAIR_COUNT", 2)
    monkeypatch.setattr(noise, "HORIZONS", (75,))
    monkeypatch.setattr(noise, "LOW", 0.875)
    monkeypatch.setattr(noise, "HIGH", 1.0)
    monkeypatch.setattr(noise, "MECHANICAL", 0.03)
    monkeypatch.setattr(noise, "trial", lambda seed, target, **k: whole(seed, target, train=3, test=2, draws=300, **k))


def test_noise_is_covered(small: None) -> None:
    found = noise.noise(State.load("evaluator-noise", 3, 24))
    assert found["ok"], found
    assert found["worlds"] == 24 and set(found["coverage_by_target"]) == {"y3", "y4"}
    assert found["mean_truth"] < 0.0 and found["told_of_skill"] == 0.0


def test_intervals_that_ignore_overlap_are_seen(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: every row is its own block."""
    monkeypatch.setattr(judge, "block_length", lambda *_, **__: 1.0)
    found = noise.noise(State.load("evaluator-noise", 3, 24))
    assert not found["ok"] and found["coverage_of_95_percent_intervals"] < 0.875, found


def test_a_wrong_table_is_seen(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: the closed form of another window."""
    closed = noise.level_r2
    monkeypatch.setattr(noise, "level_r2", lambda w, h: closed(w - 15, h))
    assert not noise.noise(State.load("evaluator-noise", 3, 2))["ok"]


def trial(seed: int, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = planted.trial(seed, "y3", **{"strength": 0.05, "train": 4, "test": 2, **options})
    return found


def test_the_ridge_finds_what_is_there_and_not_more() -> None:
    found = planted.summary([trial(k) for k in (1, 2)])
    assert found["lowest_lower_bound_of_the_ridge"] > 0.0 and found["demonstrated"] == 1.0
    assert found["worlds_where_the_ridge_beats_the_oracle"] == 0
    assert found["mean_ridge"] < found["mean_oracle"]
    assert found["mean_oracle"] == pytest.approx(found["mean_truth"], abs=0.03)


def test_no_drift_and_a_leak_are_seen() -> None:
    """The planted faults: a drift too weak to find, and a column that knows the outcome."""
    nothing = planted.summary([trial(1, strength=1e-6)])
    assert not nothing["ok"] and nothing["lowest_lower_bound_of_the_ridge"] < 0.0
    leak = planted.summary([trial(1, leak=True)])
    assert not leak["ok"] and leak["worlds_where_the_ridge_beats_the_oracle"] == 1
