"""The small sibling of `make soak CHECK=promises`: same code, same planted fault, four weeks of three pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from benchmarks.soak.checks import CHECKS
from benchmarks.soak.promises import CAUGHT_BY, check_all
from benchmarks.soak.state import State

from bqx.features.catalogue import own_datasets
from bqx.features.checks import World
from bqx.features.declare import Dataset
from bqx.market.calendar import DAY, Calendar

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def small(small_frames: Mapping[str, pl.DataFrame], holiday_calendar: Calendar) -> World:
    first = min(int(f["ts_utc"].to_physical()[0]) // 60_000_000 for f in small_frames.values())
    return World(small_frames, holiday_calendar, first + DAY)


def narrow(name: str, *columns: str) -> Dataset:
    home = own_datasets()[name]
    return replace(home, columns=tuple(home.by_name[c] for c in columns))


def test_passes_and_catches_the_planted_fault(small: World, results: Path) -> None:
    homes = [narrow("returns_raw_rate", "ret_1", "ret_60"), narrow("time_dual", "hour_sin")]
    state = State.load("promises", 1, 3)
    found = check_all(state, homes, small)
    assert found["ok"], found["failures"]
    assert (found["datasets"], found["columns"], found["checks"]) == (2, 3, 27)
    assert found["compared"] > 1_000_000
    assert set(found["planted_look_ahead_caught_by"]) == CAUGHT_BY
    path = state.finish(found)
    written = json.loads(path.read_text())
    assert {"commit", "machine", "seed", "size", "ok"} <= set(written)


def test_goes_on_where_it_stopped(small: World, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first dataset is not done again, and what it found is kept."""
    monkeypatch.setattr("benchmarks.soak.promises._planted", lambda _: set(CAUGHT_BY))
    first, second = narrow("returns_raw_rate", "ret_1"), narrow("time_dual", "hour_sin")
    check_all(State.load("promises", 1, 3), [first], small)
    state = State.load("promises", 1, 3)
    assert [t["dataset"] for t in state.trials] == ["returns_raw_rate"]

    def never(*_: Any) -> Any:
        raise AssertionError("done before")

    found = check_all(state, [replace(first, compute=never), second], small)
    assert [t["dataset"] for t in found["trials"]] == ["returns_raw_rate", "time_dual"]
    assert State.load("promises", 2, 3).trials == [], "another seed is another run"


def test_a_broken_dataset_fails_it(small: World, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.soak.promises._planted", lambda _: set(CAUGHT_BY))
    honest = narrow("returns_raw_rate", "ret_15")
    bent = replace(honest, compute=lambda s, names: {n: np.nan_to_num(x) for n, x in honest.compute(s, names).items()})
    found = check_all(State.load("promises", 1, 3), [bent], small)
    assert not found["ok"]
    assert any("returns_raw_rate.ret_15" in f for f in found["failures"])


def test_a_fault_that_is_not_caught_fails_it(small: World, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.soak.promises._planted", lambda _: {"reference"})
    assert not check_all(State.load("promises", 1, 3), [narrow("time_dual", "hour_sin")], small)["ok"]


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_has_a_sibling(name: str) -> None:
    """A test file that runs the same function."""
    text = (TESTS / CHECKS[name].sibling).read_text(encoding="utf-8")
    module = CHECKS[name].run.__module__
    package, _, last = module.rpartition(".")
    assert module in text or re.search(rf"from {re.escape(package)} import .*\b{last}\b", text)
