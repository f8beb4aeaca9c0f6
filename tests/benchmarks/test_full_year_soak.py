"""The small sibling of `make soak CHECK=full-year`: a month of two pairs and three datasets, with and without room."""

from __future__ import annotations

import importlib
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from benchmarks.page import read, year
from benchmarks.soak.state import State

from bqx.features.catalogue import own_datasets
from bqx.features.declare import Dataset

soak: Any = importlib.import_module("benchmarks.soak.full_year")
steps: Any = importlib.import_module("benchmarks.soak.full_year_steps")
NAMES = ("ohlc_rate", "time_dual", "returns_raw_rate")


def chosen() -> dict[str, Dataset]:
    return {name: own_datasets()[name] for name in NAMES}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, results: Path) -> None:
    monkeypatch.setattr("bqx.build.project.datasets", chosen)
    monkeypatch.setattr(steps, "DATASETS", chosen)
    monkeypatch.setattr(steps, "MARKET", ("eurusd", "usdjpy"))
    monkeypatch.setattr(steps, "CHANGED", "returns_raw")
    monkeypatch.setattr(soak, "run", lambda step, root, options: steps.STEPS[step](root, **options))
    monkeypatch.setattr(soak, "WALL", 1e9)
    monkeypatch.setattr(soak, "MEMORY_GB", 1e9)
    monkeypatch.setattr(soak, "APPEND", 1e9)
    monkeypatch.setenv("BQX_SOAK_FOLDER", str(tmp_path / "soak"))


def test_a_month_stopped_and_gone_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = steps.STEPS["append"]
    monkeypatch.setitem(steps.STEPS, "append", _stopped)
    with pytest.raises(KeyboardInterrupt):
        soak.full_year(State.load("full-year", 3, 1))
    monkeypatch.setitem(steps.STEPS, "append", honest)
    state = State.load("full-year", 3, 1)
    assert [t["step"] for t in state.trials] == ["bars", "part 1", "again"]
    found = soak.full_year(state)
    assert found["ok"], found["verdicts"]
    assert found["partitions"] == found["files"] == 6 and not found["dropped_after_hashing"]
    assert found["append"]["minutes"] == steps.HELD and found["append"]["partitions_compared"] == 6
    assert found["values"] > 2 * 34 * 20_000 and found["compute"] > 0 and found["encode"] > 0 and found["write"] > 0
    assert found["family"]["partitions"] == 2
    assert not any((tmp_path / "soak").iterdir())
    text = "\n".join(year(read(state.finish(found))))
    assert "of 6 partitions 0 then differ" in text and "2 partitions of 1 datasets" in text and "nothing else" in text


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are dropped after hashing, with the hashes they have where there is room; the last stays."""
    monkeypatch.setattr(soak, "PART", 1)
    first = State.load("full-year", 4, 2)
    roomy = soak.full_year(first)
    first.finish(roomy)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 0))
    monkeypatch.setattr("bqx.build.engine.check_disk", lambda *_: None)
    tight = soak.full_year(State.load("full-year", 4, 2))
    assert tight["ok"], tight["verdicts"]
    assert tight["dropped_after_hashing"] and len(tight["kept_for_the_later_steps"]) == 1
    assert [p["digest"] for p in tight["parts"]] == [p["digest"] for p in roomy["parts"]]
    assert tight["again"]["fresh"] == 6 and roomy["again"]["fresh"] == 12


def test_an_append_that_is_wrong_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: an appended row is not what a build gives."""
    appender = importlib.import_module("bqx.serve.live.appender")
    honest = appender.lanes

    def bent(home: Any, values: Any, minute: Any, pairs: Any) -> Any:
        return {name: lane + (name == "ret_5") for name, lane in honest(home, values, minute, pairs).items()}

    monkeypatch.setattr(appender, "lanes", bent)
    found = soak.full_year(State.load("full-year", 5, 1))
    assert not found["ok"] and not found["verdicts"]["append_bytes"]
    assert found["append"]["differing"] == 2


def _stopped(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
