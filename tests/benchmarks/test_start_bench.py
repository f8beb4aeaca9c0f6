"""The bench of start-up measures real processes, sees one that is slow or fails, and reaches the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.page import page

from benchmarks import start


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return start.measure(1, ("eurusd",))


def test_processes_are_measured(result: dict[str, Any], tmp_path: Path) -> None:
    rows = {row["what"]: row for row in result["commands"]}
    assert list(rows) == ["python", "import bqx", "bqx --help", "first values"]
    assert rows["python"]["core_ms"] < rows["bqx --help"]["core_ms"] < rows["first values"]["core_ms"]
    (tmp_path / "start.json").write_text(json.dumps({**result, "compile": [
        {"jobs": 2, "wall_seconds": 100.0, "core_seconds": 190.0}]}))  # fmt: skip
    text = page(tmp_path)
    assert "| first values |" in text and "2 processes: 100 s (190 core-s)" in text


def test_a_slow_command_fails(monkeypatch: pytest.MonkeyPatch, result: dict[str, Any]) -> None:
    """The planted fault: an import that sleeps."""
    monkeypatch.setattr(start, "commands", lambda _: {"import bqx": ["-c", "import time; time.sleep(0.35)"]})
    assert not start.measure(1, ("eurusd",))["ok"]


def test_a_process_that_fails_is_told() -> None:
    with pytest.raises(SystemExit, match="no such word"):
        start.run(["-c", "raise ValueError('no such word')"], {})


def test_kernels_into_an_empty_folder() -> None:
    found = start.compiled(2, ["time_dual"])
    assert found["kernels"] > 0 and found["core_seconds"] > 0
