"""The small sibling of `make soak CHECK=year`: one month of one pair, and a store that lost a file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

year: Any = importlib.import_module("benchmarks.soak.year")
Choice: Any = importlib.import_module("bqx.build.choice").Choice
CHOICE = Choice(datasets=("time_dual", "ohlc_rate"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = year.build
    monkeypatch.setattr(year, "MARKET", ("eurusd",))
    monkeypatch.setattr(year, "build", lambda project: whole(project, CHOICE))


def test_a_month(small: None, results: Path) -> None:
    found = year.year(State.load("year", 3, 1))
    assert found["ok"], found["verify"]
    assert found["months"] == 1 and found["build"]["partitions"] == 2


def test_a_lost_file_is_seen(small: None, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: a file of the lake is gone when the year is verified."""
    honest = year.verify

    def lossy(project: Any, **options: Any) -> Any:
        next((project.root / "lake").rglob("*.parquet")).unlink()
        return honest(project, **options)

    monkeypatch.setattr(year, "verify", lossy)
    assert not year.year(State.load("year", 3, 1))["ok"]
