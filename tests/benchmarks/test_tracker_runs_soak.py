"""The small sibling of `make soak CHECK=tracker-runs`: a hundred runs on a turned clock, and faults that it must see."""

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


def test_two_runs_in_real_time(results: Path) -> None:
    found = soak.tracker_runs(State.load("tracker-runs", 5, 2))
    assert found["runs"] == 2
    assert found["problems"] == []


def _problems(tmp_path: Path, runs: int = 12) -> str:
    return repr([soak.turned_run(2, n, tmp_path)["problems"] for n in range(runs)])


def test_a_look_up_by_part_of_the_code_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed's scripts: the first record whose code contains ours."""

    def read(self: AirtableTracker, codes: Any = None) -> dict[str, Found]:
        every = honest(self)
        return {c: next(f for k, f in every.items() if c in k) for c in codes if any(c in k for k in every)}

    honest = AirtableTracker.read
    monkeypatch.setattr(AirtableTracker, "read", read)
    assert "wrong record" in _problems(tmp_path)


def test_writing_without_comparing_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery._Round, "_changed", lambda *a: [])
    assert "trampled" in _problems(tmp_path, 40)


def test_making_records_without_a_key_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: AirtableTracker, changes: Sequence[Change]) -> None:
        honest(self, changes)
        new = [c for c in changes if c.found is None]
        for change in new:
            table = self._mapping.table_of(change.code)
            code = table.prefix + change.code
            next(iter(soak_tables(self))).add({table.key: code, "Notes": change.fields.get("notes")})

    def soak_tables(tracker: AirtableTracker) -> list[Any]:
        return [worlds[-1].table]

    worlds: list[Any] = []
    init = soak.World.__init__
    monkeypatch.setattr(soak.World, "__init__", lambda self, *a: (worlds.append(self), init(self, *a))[1])
    honest = AirtableTracker.write
    monkeypatch.setattr(AirtableTracker, "write", write)
    assert "doubled" in _problems(tmp_path)


def test_forgetting_what_was_not_confirmed_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settled when sent instead of when read."""

    def write(self: Any, entries: list[Any], changes: Mapping[int, Change]) -> None:
        honest(self, entries, changes)
        for entry in entries:
            self._settle(entry, changes[entry.id].fields, None)

    honest = delivery._Round._write
    monkeypatch.setattr(delivery._Round, "_write", write)
    assert "lost" in _problems(tmp_path, 40)


def test_going_too_fast_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limiter, "wait", lambda self: None)
    assert "beyond the limit" in _problems(tmp_path)


def test_a_change_that_is_dropped_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "due", lambda con, limit: honest(con, limit)[:0])
    honest = box.due
    assert "still waits" in _problems(tmp_path)
