"""The bench of start-up measures real processes, sees one that is slow or fails, and reaches the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.page import start as section

from benchmarks import start


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return start.measure(1, ("eurusd",))


def test_processes_are_measured(result: dict[str, Any]) -> None:
    rows = {row["what"]: row for row in result["commands"]}
    assert list(rows) == ["python", "import bqx", "bqx --help", "first values"]
    assert rows["python"]["core_ms"] < rows["bqx --help"]["core_ms"] < rows["first values"]["core_ms"]
    text = "\n".join(section({**result, "compile": [{"jobs": 2, "wall_seconds": 100.0, "core_seconds": 190.0}]}))
    assert "| first values |" in text and "2 processes: 100 s (190 core-s)" in text


def test_a_slow_command_fails(monkeypatch: pytest.MonkeyPatch, result: dict[str, Any]) -> None:
    """The planted fault: an import that sleeps."""
    monkeypatch.setattr(start, "commands", lambda _: {"import bqx": ["-c", "import time; time.sleep(0.35)"]})
    assert not start.measure(1, ("eurusd",))["ok"]


def test_a_process_that_fails_is_told() -> None:
    with pytest.raises(SystemExit, match="no such word"):
        start.run(["-c", "raise ValueError('no such word')"], {})


def test_kernels_are_compiled_into_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def run(arguments: list[str], env: dict[str, str]) -> tuple[float, float]:
        asked.append((arguments[1], env["BQX_CACHE_DIR"]))
        (Path(env["BQX_CACHE_DIR"]) / "one.nbc").touch()
        return 2.0, 3.0

    monkeypatch.setattr(start, "run", run)
    assert start.compiled(2) == {"jobs": 2, "wall_seconds": 2.0, "core_seconds": 3.0, "kernels": 1}
    (code, folder) = asked[0]
    assert "warm(None, jobs=2)" in code and not Path(folder).exists()
