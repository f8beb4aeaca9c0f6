"""The small sibling of `make soak CHECK=kill`: two kills of a build of one pair, and a rerun that mends nothing."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

kill: Any = importlib.import_module("benchmarks.soak.kill")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = kill.WORKER.replace(
        "build(p, threads=2)", "build(p, Choice(datasets=('time_dual', 'ohlc_rate')), threads=2)"
    )
    assert worker != kill.WORKER
    whole = kill.build
    monkeypatch.setattr(kill, "WORKER", "from bqx.build.choice import Choice; " + worker)
    monkeypatch.setattr(kill, "build", lambda project, threads: whole(project, CHOICE, threads=threads))
    monkeypatch.setattr(kill, "PAIRS", ("eurusd",))


CHOICE = importlib.import_module("bqx.build.choice").Choice(datasets=("time_dual", "ohlc_rate"))


def test_two_kills(small: None, results: Path) -> None:
    found = kill.kill(State.load("kill", 4, 2))
    assert found["ok"], found["problems"]
    assert found["trials"] == 2
    assert found["killed"] + found["finished_before_the_kill"] == 2


def test_a_rerun_that_mends_nothing_is_seen(small: None, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: running again leaves the store as the kill left it."""
    monkeypatch.setattr(kill, "build", lambda project, threads: None)
    monkeypatch.setattr(kill, "FAULT_POINTS", ("before-commit",))
    state = State.load("kill", 4, 3)
    found = kill.kill(state)
    assert found["killed"] > 0
    assert not found["ok"]
    assert "the finished store differs" in {t["problem"] for t in found["problems"]}
