"""The small sibling of `make soak CHECK=models-pieces`: one planted world, and verdicts that a fault turns round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.models_pieces import models_pieces, summary, trial
from benchmarks.soak.state import State


@pytest.fixture(scope="module")
def world() -> dict[str, Any]:
    return trial(5, 0, days=60)


def test_a_planted_world(world: dict[str, Any]) -> None:
    """Sixty days: the right model is admitted, tuning finds what there is, drift of a factor 2 is made up for."""
    assert world["admission"]["admitted"] and world["tuning"] == {"called": True, "is": True}
    assert abs(world["still"]["walked"] - 0.9) < 0.03
    assert world["drift"]["plain"] < 0.8 < 0.85 < world["drift"]["walked"]


def test_soak(world: dict[str, Any], results: Path) -> None:
    """Trials of an earlier call count; a fault in any piece is seen."""
    good = {"walked": 0.9, "plain": 0.65, "worst": 0.03}
    whole = {**world, "still": good, "drift": good}
    noise = {**whole, "planted": False, "admission": {"admitted": False}, "tuning": {"called": False, "is": False}}
    state = State("models-pieces", 5, 4)
    state.trials = [whole, noise, noise, noise]
    assert models_pieces(state)["ok"]
    for fault in (
        {"still": {**good, "walked": 0.86}},
        {"drift": {**good, "walked": 0.8}},
        {"drift": {**good, "plain": 0.9}},
        {"still": {**good, "worst": 0.3}},
        {"admission": {"admitted": True}},
        {"tuning": {"called": True, "is": False}},
    ):
        assert not summary([whole, *3 * [{**noise, **fault}]])["ok"], fault
    assert not summary([{**whole, "admission": {"admitted": False}}, noise])["ok"]
