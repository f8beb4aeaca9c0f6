"""Drawings: no spike is lost, gaps stay gaps, the same bytes every time, the page's own colours."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from bqx.ops import demo_coverage, demo_week, plots
from bqx.ops.demo_coverage import coverage_chart, floor_of, percent
from bqx.ops.demo_week import Line, week_chart
from bqx.ops.plots import thin


@pytest.mark.parametrize("module", [plots, demo_coverage])
def test_examples(module: object) -> None:
    done = doctest.testmod(module)  # type: ignore[arg-type]
    assert done.attempted
    assert not done.failed


def test_thin_keeps_extremes_and_gaps() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=20_000)
    y[7_001], y[12_345] = 50.0, -60.0
    y[15_000:15_400] = np.nan
    x = np.arange(20_000.0)
    a, b = thin(x, y, 1500)
    assert len(a) <= 1500
    assert (np.diff(a) > 0).all()
    assert (np.nanmax(b), np.nanmin(b)) == (50.0, -60.0)
    assert np.isnan(b[(a >= 15_000) & (a < 15_400)]).all()
    assert np.array_equal(y[a.astype(int)], b, equal_nan=True), "values are those of their places"


def test_a_short_line_is_left_alone() -> None:
    x = np.arange(10.0)
    assert thin(x, x)[0] is x


def test_same_bytes_and_page_colours() -> None:
    share = np.array([[1.0, 0.93], [0.995, np.nan]])
    first, second = (coverage_chart(["eurusd", "usdjpy"], ["a_rate", "b_bqx"], share, "simulated data") for _ in "12")
    assert first == second
    assert first.startswith("<svg ")
    assert "<metadata" not in first or "dc:date" not in first
    assert "var(--ink, " in first
    for word in ("EURUSD", "a_rate", ">100<", ">93.0<", ">99.5<", "not built", "simulated data"):
        assert word in first


def test_colours_begin_below_the_least_share() -> None:
    assert floor_of(np.array([[0.93, 1.0]])) == pytest.approx(0.90)
    assert floor_of(np.array([[1.0, np.nan]])) == pytest.approx(0.95)
    assert percent(0.99999) == "99.9"


def test_no_line_crosses_a_closure() -> None:
    minute = np.concatenate([np.arange(1000, 1100), np.arange(4000, 4100)]).astype(np.int64)
    x, y = demo_week._with_breaks(minute, np.ones(200))
    assert np.isnan(y[np.searchsorted(x, 2500)])
    svg = week_chart(minute, [Line("m", "bps", np.ones(200))], [(1100, 4000)])
    assert "market closed" in svg
