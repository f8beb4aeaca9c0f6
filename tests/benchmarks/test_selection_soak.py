"""The small siblings of the soaks `dataset-year` and `selection-planted`, and what makes each of them fail."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

planted: Any = importlib.import_module("benchmarks.soak.selection_planted")
year: Any = importlib.import_module("benchmarks.soak.dataset_year")
world: Any = importlib.import_module("benchmarks.soak.selection_world")
Options: Any = importlib.import_module("bqx.research.selection.options").Options

NO_SELECTION = 'out = {"seconds": {"selection": 1.0}}'


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    """Ninety columns, and one rich enough effect for 4,000 rows."""
    few = planted.candidates()[:1200:13][:90]
    options = Options(budget=25, rate=5, bqx=0, per_half=15, folds=2, rounds=10, halves=20)
    whole = planted.world
    monkeypatch.setattr(planted, "candidates", lambda: few)
    monkeypatch.setattr(
        planted,
        "planted_sample",
        lambda rows, **k: world.planted_sample(rows, columns=90, **{**k, "r2": 4 * k["r2"], "decoys": 2}),
    )
    monkeypatch.setattr(planted, "world", lambda seed, twice: whole(seed, twice=twice, rows=4000, options=options))


def test_planted_columns(small: None) -> None:
    found = planted.planted(State.load("selection-planted", 3, 1))
    assert found["ok"], found
    assert found["recall"] == 1.0 and found["same_mask_on_1_and_4_workers"]


def test_a_world_without_the_effect_fails(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: labels that no column explains."""
    monkeypatch.setattr(planted, "R2", 0.0)
    found = planted.planted(State.load("selection-planted", 3, 1))
    assert not found["ok"] and found["recall"] < 0.9


def test_memory_and_time_are_judged(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month of one pair; then the same measured against less memory than a process has."""
    monkeypatch.setattr(year, "SELECT", NO_SELECTION)
    found = year.dataset_year(State.load("dataset-year", 3, 1))
    assert found["ok"], found
    assert found["make"]["rows"] > found["stream"]["rows"] * 0.99 and found["stream"]["values"] > 70_000_000
    assert 0.1 < found["peak_gb"] < 2.0 and found["make"]["candidates"] == 2640
    monkeypatch.setattr(year, "_step", lambda *_: {**found["make"], **found["select"], "peak_gb": 4.1})
    monkeypatch.setattr(year, "noise_project", lambda *a, **k: type("P", (), {"close": lambda self: None})())
    assert not year.dataset_year(State.load("dataset-year", 3, 1))["ok"]
