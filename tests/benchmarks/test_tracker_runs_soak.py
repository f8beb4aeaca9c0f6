"""The small sibling of `make soak CHECK=tracker-runs`: a hundred runs on a turned clock, and faults it must see."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak.state import State

from bqx.ops.tracker import box, delivery
from bqx.ops.tracker.airtable import AirtableTracker
from bqx.ops.tracker.limiter import Limiter
from bqx.ops.tracker.port import Change, Found

soak: Any = importlib.import_module("benchmarks.soak.tracker_runs")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("bqx").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("part", range(4))
def test_a_hundred_runs(tmp_path: Path, part: int) -> None:
    found = soak.summary([soak.turned_run(2, n, tmp_path) for n in range(25 * part, 25 * part + 25)], 0.0)
    assert found["ok"], found["problems"]
    assert found["runs"] == 25
    assert found["delivered"] > 200


def test_a_run_in_real_time(results: Path) -> None:
    found = soak.tracker_runs(State.load("tracker-runs", 1, 1))
    assert found["ok"], found


def _seen(problem: str, folder: Path, *likely: int) -> bool:
    """Whether some run has the problem; those in which a fault showed when the test was written go first."""
    return any(problem in repr(soak.turned_run(2, n, folder)["problems"]) for n in (*likely, *range(100, 160)))


def test_a_look_up_by_part_of_the_code_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed's scripts: the first record whose code contains ours."""

    def read(self: AirtableTracker, codes: Any = None) -> dict[str, Found]:
        every = honest(self)
        return {c: next(f for k, f in every.items() if c in k) for c in codes if any(c in k for k in every)}

    honest = AirtableTracker.read
    monkeypatch.setattr(AirtableTracker, "read", read)
    assert _seen("wrong record", tmp_path, 0)


def test_writing_without_comparing_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery._Round, "_changed", lambda *a: [])
    assert _seen("trampled", tmp_path, 22, 25)


def test_making_records_without_a_key_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: AirtableTracker, changes: Sequence[Change]) -> None:
        honest(self, changes)
        for change in changes:
            if change.found is None:
                worlds[-1].table.add({"Stage Code": f"BQX-{change.code}"})

    worlds: list[Any] = []
    init = soak.World.__init__
    monkeypatch.setattr(soak.World, "__init__", lambda self, *a: (worlds.append(self), init(self, *a))[1])
    honest = AirtableTracker.write
    monkeypatch.setattr(AirtableTracker, "write", write)
    assert _seen("doubled", tmp_path, 0)


def test_forgetting_what_was_not_confirmed_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: settled when sent instead of when read."""

    def write(self: Any, entries: list[Any], changes: Mapping[int, Change]) -> None:
        honest(self, entries, changes)
        for entry in entries:
            self._settle(entry, changes[entry.id].fields, None)

    honest = delivery._Round._write
    monkeypatch.setattr(delivery._Round, "_write", write)
    assert _seen("lost", tmp_path, 8, 12)


def test_going_too_fast_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limiter, "wait", lambda self: None)
    assert _seen("beyond the limit", tmp_path, 0)


def test_a_change_that_is_dropped_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = box.due
    monkeypatch.setattr(box, "due", lambda con, limit: honest(con, limit)[:0])
    assert _seen("still waits", tmp_path, 0)
