"""P1-P4 for every column there is: catalogue x checks, one test each, `dataset:check`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from bqx.features.catalogue import datasets
from bqx.features.checks import CHECKS, MINIMUM, World
from bqx.features.declare import Dataset
from bqx.market.calendar import datetime_of, month_span, months_between

CASES = [pytest.param(d, check, id=f"{d.name}:{check}") for d in datasets().values() for check in CHECKS]


@pytest.mark.parametrize(("home", "check"), CASES)
def test_promise(home: Dataset, check: str, world_for: Callable[[Dataset], World]) -> None:
    results = CHECKS[check](home, world_for(home))
    wanted = {c.name for c in home.columns}
    if check == "redundancy":
        wanted = {c.name for c in home.columns if "level" not in c.tags} if home.counted else set()
    if check == "baseline":
        wanted -= {c.name for c in home.columns if "level" in c.tags}
    assert {r.column for r in results} == wanted, "a column was not looked at"
    failed = [f"{r.check} {r.dataset}.{r.column}: {r.reason}" for r in results if not r.passed]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("check", CHECKS)
def test_too_few_values_fail(check: str, world: World) -> None:
    """Three pairs x 150 minutes: at most 450 values, all right, and yet not a pass."""
    begin = world.calendar.segment_start(world.span[1] - 1)
    edge = datetime_of(begin) + timedelta(minutes=150)
    frames = {
        p: f.filter((pl.col("ts_utc") >= datetime_of(begin)) & (pl.col("ts_utc") < edge))
        for p, f in world.frames.items()
    }
    short = World(frames, world.calendar, begin)
    home = datasets()["returns_raw_rate"]
    for result in CHECKS[check](home, short):
        assert result.differing == 0
        if check in (
            "nulls",
            "bounds",
            "zeros",
            "baseline",
            "redundancy",
            "reference",
        ):  # the others compare several times
            assert result.compared <= 3 * 150 < MINIMUM
            assert not result.passed
            assert f"{MINIMUM} are needed" in result.reason
        elif result.column == "ret_1440":
            assert result.compared == 0
            assert not result.passed


def test_the_world_is_hard_enough(world: World) -> None:
    """What the promises are tried on: if it loses its difficulties, the checks above say less than they seem to."""
    first, last = world.span
    panel = world.panel(world.calendar.segment_start(first), last)
    assert len(months_between(first, last)) == 2
    boundary = panel.grid.index(month_span("2024_03")[0])
    assert panel.grid.seg_age[boundary] > 0, "the month turns inside a segment"
    opens = panel.grid.minute[panel.grid.seg_age == 0] % 1440
    assert set(opens.tolist()) == {21 * 60, 22 * 60}, "the clocks change"
    assert np.diff(np.flatnonzero(panel.grid.seg_age == 0)).tolist().count(2 * 1440) == 2, "a holiday splits a week"
    ends = np.flatnonzero(np.diff(panel.fill_run[:, 0], append=0) < 0)
    runs = set(panel.fill_run[ends, 0].tolist())
    assert {3, 6, 90} <= runs, "holes of 3, 6 and 90 minutes"
    assert np.isnan(panel.close[panel.grid.seg_age == 0, 0]).any(), "a late opening"
    assert panel.first[1] > panel.first[0], "a pair that begins late"
