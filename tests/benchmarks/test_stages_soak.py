"""The small sibling of `make soak CHECK=stages-three`: three stages on three pairs and a month, and a planted NULL."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

stages: Any = importlib.import_module("benchmarks.soak.stages")
How: Any = importlib.import_module("bqx.ops.stages.facts").How
FEW = ("1.6.9", "1.8.1", "1.8.3")
PAIRS, MONTH = ("eurusd", "gbpusd", "usdjpy"), ("2024_07", "2024_07")


def run(name: str, lacking: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = stages.run_all(State.load(name, 3, 1), PAIRS, MONTH, How(), lacking, FEW)
    return found


def test_a_few_stages(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages.tempfile, "gettempdir", lambda: str(tmp_path))
    found = run("stages-three", set())
    assert found["ok"], found
    assert found["planted_null_was_caught"] and found["stages"] == 3
    assert found["values_counted_by_sql"] > 1_000_000


def test_faults_are_seen(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that is off by one, and a stage that was to be not computable and is not."""
    honest = stages._recount

    def off(*args: Any) -> tuple[int, list[str]]:
        total, differ = honest(*args)
        return total, [*differ, "time_dual.hour_sin: 1 by DuckDB, 2 in the evidence"]

    monkeypatch.setattr(stages.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(stages, "_recount", off)
    found = run("stages-three", {"1.8.3"})
    assert not found["ok"]
    assert found["not_as_wanted"] == {"1.8.3": "passed"}
    assert len(found["problems"]) == 3
