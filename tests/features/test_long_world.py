"""Columns that see weeks back are tried on twelve weeks, cut to what they need; mistakes in them are caught there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.catalogue import datasets
from bqx.features.checks import CHECKS, World
from bqx.features.checks.reach import LEAST_DAYS, VALUES, bars_needed, days_needed, warmup
from bqx.features.declare import Column, Dataset
from bqx.features.streams import PRICE, Streams
from bqx.features.support import Window, needed
from bqx.market.calendar import months_between

F8 = NDArray[np.float64]
W = 20_160
"""Two weeks of minutes, three trading weeks less a day."""


def counted(x: NDArray[np.bool_]) -> F8:
    total = np.cumsum(x, axis=0).astype(np.float64)
    total[W:] = total[W:] - total[:-W].copy()
    return total


def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    dy = streams.rate_change
    valid = counted(~np.isnan(dy))
    return {"up_share": np.where(valid >= needed(W), counted(dy > 0) / np.maximum(valid, 1), np.nan)}


def reference(streams: Streams, name: str, row: int, pair: int) -> float:
    window = [x for x in streams.rate_change[max(0, row - W + 1) : row + 1, pair].tolist() if x == x]
    return sum(x > 0 for x in window) / len(window)


def built_from_here(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    """The share since the first loaded bar, in place of the window's."""
    honest = compute(streams, names)["up_share"]
    dy = streams.rate_change
    since = np.cumsum(dy > 0, axis=0) / np.maximum(np.cumsum(~np.isnan(dy), axis=0), 1)
    return {"up_share": np.where(np.isnan(honest), honest, since)}


LONG = Dataset(
    family="long",
    domain="rate",
    columns=(Column("up_share", "share", "share of rising minutes", Window(PRICE, W, "XGAP"), "XGAP", bounds=(0, 1)),),
    compute=compute,
    reference=reference,
)


@pytest.fixture(scope="module")
def enough(world_for: Callable[[Dataset], World]) -> World:
    return world_for(LONG)


def test_what_is_needed(world: World, world_for: Callable[[Dataset], World]) -> None:
    end = world.span[1]
    assert warmup(LONG) == W
    start = world.calendar.segment_start(end - 1)
    back = world.calendar.at_ordinal(world.calendar.ordinal(start) - (W - 1))
    seen = world.calendar.ordinal(start) - world.calendar.ordinal(world.calendar.segment_start(back))
    assert bars_needed(LONG, world.calendar, end) == seen + VALUES
    assert LEAST_DAYS < days_needed(LONG, world.calendar, end) <= 6 * 7
    short = datasets()["returns_raw_rate"]
    assert days_needed(short, world.calendar, end) == LEAST_DAYS
    assert world_for(short) is world


def test_the_long_world_is_hard_enough(long_world: World, enough: World) -> None:
    first, last = long_world.span
    assert len(months_between(first, last)) == 4
    assert last - first > 11.5 * 7 * 1440
    for world in (long_world, enough):
        first, last = world.span
        panel = world.panel(world.calendar.segment_start(first), last)
        opens = panel.grid.minute[panel.grid.seg_age == 0] % 1440
        assert {21 * 60, 22 * 60} <= set(opens.tolist()), "the clocks change"
        assert 2 * 1440 in np.diff(np.flatnonzero(panel.grid.seg_age == 0)), "a holiday splits a week"
        ends = np.flatnonzero(np.diff(panel.fill_run[:, 0], append=0) < 0)
        assert {3, 6, 90} <= set(panel.fill_run[ends, 0].tolist())
    assert enough.span[0] > long_world.span[0], "cut to what is needed"
    panel = enough.panel(enough.calendar.segment_start(enough.span[0]), enough.span[1])
    assert panel.first[1] > panel.first[0], "a pair that begins late"


@pytest.mark.parametrize("check", CHECKS)
def test_honest_column_passes(check: str, enough: World) -> None:
    for result in CHECKS[check](LONG, enough):
        assert result.passed, result.reason


def test_the_start_of_the_build_is_caught(enough: World) -> None:
    broken = replace(LONG, compute=built_from_here)
    found = {name: all(r.passed for r in check(broken, enough)) for name, check in CHECKS.items()}
    assert not found["partition"]
    assert not found["reference"]
    assert found["causal"], "the past of one build does not change with its future"


def test_four_weeks_are_too_few(world: World) -> None:
    """Values that compared too little have failed."""
    results = [r for name in ("nulls", "causal") for r in CHECKS[name](LONG, world)]
    begin, end = world.calendar.ordinal(world.span[0]), world.calendar.ordinal(world.span[1])
    assert end - begin < W + VALUES
    assert all(r.differing == 0 for r in results)
