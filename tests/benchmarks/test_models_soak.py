"""The small sibling of `make soak CHECK=models-gates`: one world of noise; the planted fault is a gate left open."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

from bqx.research.registry import gates

soak: Any = importlib.import_module("benchmarks.soak.models_gates")
models_world: Any = importlib.import_module("benchmarks.soak.models_world")
SMALL = soak.Plan(weeks=6, pairs=("eurusd",), horizons=(15,), cost=0.1, columns=("returns_std_rate",), draws=200,
                  seeds=20)  # fmt: skip
"""Selection among 2,640 candidates takes a minute a world; tests/research/test_selection_run.py has it."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world") / "p"


@pytest.fixture(scope="module")
def trial(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = soak.whole(root, 5, "random-walk", SMALL)
    return found


def state_with(*trials: dict[str, Any]) -> State:
    state = State("models-gates", 5, 1)
    state.trials = list(trials)
    return state


def test_nothing_of_noise_is_promotable(results: Path, trial: dict[str, Any]) -> None:
    assert trial["state"] == "done" and trial["promotable"] == [] and trial["leakage"] == [], trial
    assert trial["gates"]["eurusd"]["GATE2"].startswith("fail"), trial
    assert "no demonstrated skill" in trial["verdict"]
    assert trial["gates"]["eurusd"]["GATE7"].startswith("no evidence")
    planted = {**trial, "flavour": "planted", "promotable": ["eurusd"]}
    assert soak.models_gates(state_with(trial, planted), SMALL)["ok"]
    assert not soak.models_gates(state_with(trial, {**planted, "promotable": []}), SMALL)["ok"], "nothing found"


def test_a_gate_left_open_is_seen(
    results: Path, root: Path, trial: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: every gate says yes."""
    yes = {name: (title, source, lambda e: ("pass", "open", {})) for name, (title, source, _) in gates.GATES.items()}
    monkeypatch.setattr(gates, "GATES", yes)
    open_door = {**trial, **models_world.risen(root)}
    assert open_door["promotable"] == ["eurusd"]
    planted = {**trial, "flavour": "planted", "promotable": ["eurusd"]}
    assert not soak.models_gates(state_with(open_door, planted), SMALL)["ok"]
