"""Peaks with ages, confirmed swings and legs: brute force, TA-Lib, scipy, 50 digits, rings."""

from __future__ import annotations

from itertools import pairwise

import mpmath
import numpy as np
import pytest
import talib
from numpy.typing import NDArray
from scipy.signal import argrelextrema

from bqx.features.checks.result import same_bits
from bqx.features.kernels.legs import leg, nearest, proximity, share
from bqx.features.kernels.peaks import GRID, on_grid, peak_age, peak_age_step
from bqx.features.kernels.smooth import rebase_step
from bqx.features.kernels.swings import last_swing, swing_step
from bqx.features.kernels.window_extremes import window_extremes

F8 = NDArray[np.float64]
LEVELS = (0.236, 0.382, 0.5, 0.618, 0.786, -0.272, -0.618)


def walk(n: int, p: int, seed: int, holes: float = 0.0, tick: float = 0.0) -> F8:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.standard_normal((n, p)), axis=0)
    x = np.round(x / tick) * tick if tick else x
    x[rng.random((n, p)) < holes] = np.nan
    return x


def ages_by_hand(x: F8, window: int) -> F8:
    """Rows since the latest largest value, window by window."""
    out = np.full(x.shape, np.nan)
    for r, j in np.ndindex(x.shape):
        back = x[max(0, r - window + 1) : r + 1, j][::-1]
        if not np.isnan(back).all():
            out[r, j] = int(np.nanargmax(back))
    return out


@pytest.mark.parametrize("window", [1, 2, 7, 60, 240])
@pytest.mark.parametrize("tick", [0.0, 1.0])
def test_ages_by_brute_force(window: int, tick: float) -> None:
    x = walk(700, 3, window, holes=0.3, tick=tick)
    x[200:500, 1] = np.nan
    have = peak_age(x, window)
    np.testing.assert_array_equal(have, ages_by_hand(x, window))
    assert np.isnan(have).any() == (window < 300)


@pytest.mark.parametrize("window", [60, 240, 1440])
def test_ages_agree_with_talib(window: int) -> None:
    x = walk(6000, 1, 5)
    highest = np.arange(6000) - talib.MAXINDEX(x[:, 0], window)
    lowest = np.arange(6000) - talib.MININDEX(x[:, 0], window)
    np.testing.assert_array_equal(peak_age(x, window)[window - 1 :, 0], highest[window - 1 :])
    np.testing.assert_array_equal(peak_age(-x, window)[window - 1 :, 0], lowest[window - 1 :])


@pytest.mark.parametrize("window", [60, 1440])
def test_ages_over_a_ring(window: int) -> None:
    x = walk(4000, 3, 2, holes=0.1, tick=1.0)
    ring, live = np.full((window, 3), np.nan), np.empty_like(x)
    for r in range(len(x)):
        ring[r % window] = x[r]
        peak_age_step(ring, r, window, live, r)
    assert same_bits(live, peak_age(x, window)).all()


def test_grid() -> None:
    """Multiples of 2**-16, symmetric, never out of order; equal prices of other quotes fall together, ticks do not."""
    x = walk(20_000, 1, 3)
    y = on_grid(x)
    assert (y / GRID == np.rint(x / GRID)).all()
    assert (on_grid(-x) == -y).all()
    order = np.argsort(x[:, 0])
    assert (np.diff(y[order, 0]) >= 0).all()
    assert (on_grid(x + 1e-12) != y).sum() < 3
    assert (on_grid(x + 0.005) > y).all()
    assert np.isnan(on_grid(np.array([[np.nan]]))).all()


def two_weeks(n: int, p: int, seed: int) -> tuple[F8, NDArray[np.int32], NDArray[np.int32], F8]:
    """Levels of three segments, each from its own zero, with holes; ages, segments, ends."""
    x = walk(n, p, seed, holes=0.004)
    cuts = [0, n // 3, n // 2, n]
    age, segment = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    ends = np.full((3, p), np.nan)
    for s, (a, b) in enumerate(pairwise(cuts)):
        age[a:b], segment[a:b] = np.arange(b - a), s
        x[a:b] -= np.nan_to_num(x[a])
        for j in range(p):
            ends[s, j] = x[a:b, j][~np.isnan(x[a:b, j])][-1]
    return x, age, segment, ends


def swings(
    x: F8, age: NDArray[np.int32], segment: NDArray[np.int32], ends: F8, half: int, reach: int
) -> tuple[F8, ...]:
    top = window_extremes(x, x, age, [half], [half])[0][0]
    return last_swing(x, x, top, age, segment, ends, half, reach)


@pytest.mark.parametrize("tick", [0.0, 1.0])
def test_swings_agree_with_scipy(tick: float) -> None:
    """argrelextrema of order 10, strict; the last one at least 10 bars old."""
    n = 5000
    x = walk(n, 2, 8, tick=tick)
    age = np.arange(n, dtype=np.int32)
    value, since = swings(x, age, np.zeros(n, np.int32), np.empty((0, 2)), 10, 1440)
    for j in range(2):
        rows = argrelextrema(x[:, j], np.greater, order=10)[0]
        rows = rows[(rows >= 10) & (rows < n - 10)]  # scipy repeats the edge values
        assert len(rows) > (5 if tick else 100)
        last = np.searchsorted(rows, np.arange(n) - 10, side="right") - 1
        want = np.where(last >= 0, np.arange(n) - rows[last], np.nan)
        want = np.where(want > 1440, np.nan, want)
        np.testing.assert_array_equal(since[:, j], want)
        known = ~np.isnan(want)
        np.testing.assert_array_equal(value[known, j], x[rows[last[known]], j])


def test_a_swing_is_known_ten_bars_later_and_for_1440() -> None:
    x = np.zeros((3000, 1))
    x[50] = 1.0
    age = np.arange(3000, dtype=np.int32)
    value, since = swings(x, age, np.zeros(3000, np.int32), np.empty((0, 1)), 10, 1440)
    known = np.flatnonzero(~np.isnan(since[:, 0]))
    assert (known[0], known[-1]) == (60, 50 + 1440)
    assert (value[known] == 1.0).all()
    x[45] = 1.0  # as high: neither is a swing
    assert np.isnan(swings(x, age, np.zeros(3000, np.int32), np.empty((0, 1)), 10, 1440)[1]).all()
    x[45], x[58] = 0.0, np.nan  # a hole could hide a higher bar
    assert np.isnan(swings(x, age, np.zeros(3000, np.int32), np.empty((0, 1)), 10, 1440)[1]).all()


def test_a_swing_before_a_closure() -> None:
    """It ended 3 below the week's end: 3 below the new zero. One whose neighbours lie beyond the closure is none."""
    x = np.zeros((200, 1))
    x[50], x[51:100], x[95] = 7.0, 4.0, 9.0
    age = np.r_[np.arange(100), np.arange(100)].astype(np.int32)
    segment = np.r_[np.zeros(100), np.ones(100)].astype(np.int32)
    ends = np.array([[4.0], [0.0]])
    value, since = swings(x, age, segment, ends, 10, 1440)
    assert value[99, 0] == 7.0
    assert (value[100:, 0] == 3.0).all()
    assert since[150, 0] == 100.0


def test_swings_over_rings() -> None:
    x, age, segment, ends = two_weeks(6000, 3, 4)
    half, reach = 10, 300
    batch = swings(x, age, segment, ends, half, reach)
    ring, out = np.full((2 * half + 1, 3), np.nan), (np.empty((1, 3)), np.empty((1, 3)))
    value, since = np.full(3, np.nan), np.full(3, np.inf)
    live = (np.empty_like(x), np.empty_like(x))
    for r in range(len(x)):
        if age[r] == 0 and r > 0:
            rebase_step(ends, segment[r] - 1, value)
        ring[r % len(ring)] = x[r]
        swing_step(ring, ring, r, age[r], half, reach, value, since, out, 0)
        live[0][r], live[1][r] = out[0][0], out[1][0]
    for a, b in zip(live, batch, strict=True):
        assert same_bits(a, b).all()
        assert 5_000 < (~np.isnan(b)).sum() < b.size


def test_one_lane_is_as_28() -> None:
    x, age, segment, ends = two_weeks(3000, 28, 6)
    wide = (*swings(x, age, segment, ends, 10, 1440), peak_age(x, 240), on_grid(x))
    for j in (0, 27):
        one = np.ascontiguousarray(x[:, j : j + 1])
        narrow = (*swings(one, age, segment, ends[:, j : j + 1].copy(), 10, 1440), peak_age(one, 240), on_grid(one))
        for a, b in zip(wide, narrow, strict=True):
            assert same_bits(a[:, j : j + 1], b).all()


def cell(*values: float) -> list[F8]:
    return [np.array([[v]]) for v in values]


def test_a_leg_up_by_hand() -> None:
    """From 100 up to 110, back to 104, ranges of 2: 60 % taken back, 0.18 above the level of 61.8 %."""
    c, hi, lo, hi_age, lo_age, atr = cell(104.0, 110.0, 100.0, 5.0, 30.0, 2.0)
    length, way, depth = leg(c, hi, lo, hi_age, lo_age)
    assert (length[0, 0], way[0, 0], depth[0, 0]) == (10.0, 1.0, 6.0)
    assert share(depth, length, -1.0, 2.0)[0, 0] == 0.6
    assert proximity(depth, length, atr, 0.618, 0.25)[0, 0] == pytest.approx(0.697676326071031, rel=1e-12)
    assert proximity(depth, length, atr, 0.5, 0.25)[0, 0] == pytest.approx(0.135335283236613, rel=1e-12)
    assert proximity(depth, length, atr, -0.272, 0.25)[0, 0] == pytest.approx(2.66625e-8, rel=1e-4)  # exp(-17.44)
    assert nearest(depth, length, way, atr, LEVELS)[0, 0] == pytest.approx(0.09, rel=1e-12)


def test_a_leg_down_by_hand() -> None:
    """From 110 down to 100, back to 106: 60 % taken back, 0.18 below the level of 61.8 %; 98 is half way to 1.272."""
    c, hi, lo, hi_age, lo_age, atr = cell(106.0, 110.0, 100.0, 30.0, 5.0, 2.0)
    length, way, depth = leg(c, hi, lo, hi_age, lo_age)
    assert (length[0, 0], way[0, 0], depth[0, 0]) == (10.0, -1.0, 6.0)
    assert nearest(depth, length, way, atr, LEVELS)[0, 0] == pytest.approx(-0.09, rel=1e-12)
    c = cell(97.0)[0]
    length, way, depth = leg(c, hi, lo, hi_age, lo_age)
    assert nearest(depth, length, way, atr, LEVELS)[0, 0] == pytest.approx(-0.14, rel=1e-12)  # 97 - 97.28
    assert share(depth, length, -1.0, 2.0)[0, 0] == -0.3
    assert share(cell(-200.0)[0], length, -1.0, 2.0)[0, 0] == -1.0


def test_no_leg() -> None:
    c, flat, above, age, other = cell(104.0, 104.0, 105.0, 5.0, 6.0)
    for top, bottom, size in ((flat, flat, 0.0), (flat + 1e-12, flat, 1e-12), (flat, above, -1.0)):
        length, way, depth = leg(c, top, bottom, age, other)
        assert length[0, 0] == pytest.approx(size, abs=1e-13)
        assert np.isnan(way).all()
        assert np.isnan(depth).all()
        assert np.isnan(share(c, length, -1.0, 2.0)).all()
        for value in (proximity(depth, length, age, 0.5, 0.25), nearest(depth, length, way, age, LEVELS)):
            assert np.isnan(value).all()
    assert np.isnan(proximity(c, above, cell(1e-10)[0], 0.5, 0.25)).all(), "ranges that have faded"


def test_proximity_to_50_digits() -> None:
    """Depths far larger than their distance from a level: the error is that of the subtraction."""
    rng = np.random.default_rng(1)
    length = rng.uniform(1, 500, (4000, 1))
    level = 0.618
    depth = level * length + rng.standard_normal((4000, 1)) * 10.0 ** rng.uniform(-9, 0, (4000, 1))
    scale = rng.uniform(0.1, 5, (4000, 1))
    have = proximity(depth, length, scale, level, 0.25)[:, 0]
    with mpmath.workdps(50):
        for k in range(0, 4000, 4):
            d, w, a = (mpmath.mpf(float(v[k, 0])) for v in (depth, length, scale))
            want = mpmath.exp(-abs(mpmath.mpf(level) * w - d) / (a / 4))
            rounding = float(w) * 2.0**-52 / (float(a) / 4)
            assert abs(float((have[k] - want) / want)) < rounding + 4 * 2.0**-52
