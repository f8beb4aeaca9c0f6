"""Kernels of the technical family: 50-digit arithmetic on hard inputs, rings against batches, values worked by hand.

The bar is 100 x condition number x eps, which is written out in each test.
"""

from __future__ import annotations

from collections.abc import Iterator

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from numpy.typing import NDArray

from bqx.features.kernels import ages, channel, deviation, oscillators, places, ranges, wilder
from bqx.features.kernels.smooth import smooth
from bqx.features.kernels.sums import STATE_ROWS
from bqx.features.kernels.window_extremes import extremes_row, window_extremes
from bqx.features.support import needed

F8 = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
ROWS = 2400
AGE = np.arange(ROWS, dtype=np.int32)
SPLIT = np.r_[np.arange(700), np.arange(ROWS - 700)].astype(np.int32)
"""Two segments."""


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with mpmath.workdps(50):
        yield


def walk(step: float, level: float = 0.0, seed: int = 3) -> F8:
    rng = np.random.default_rng(seed)
    return level + np.cumsum(step * rng.standard_normal((ROWS, 2)), axis=0)


def holed(x: F8) -> F8:
    out = x.copy()
    out[np.random.default_rng(5).random(x.shape) < 0.05] = np.nan
    out[1500:1560] = np.nan
    return out


def ticked(x: F8) -> F8:
    out = x.copy()
    out[1020] += 100.0
    return out


HARD = {
    "basis points": walk(1.0),
    "far from zero": walk(1.0, 1e4),
    "small moves far away": walk(1e-3, 500.0),
    "a tick of 100": ticked(walk(1.0)),
    "holes": holed(walk(1.0)),
    "whole steps, often flat": np.round(walk(0.15)),
}
PICK = np.unique(np.r_[118:140, 1015:1030, 1130:1150, 1490:1500, 1700:1710, 2040:2060, 2390:ROWS])


def exact_window(x: F8, r: int, j: int, w: int) -> list[mpf]:
    return [mpf(float(v)) for v in x[r - w + 1 : r + 1, j] if not np.isnan(v)]


def rows_of(x: F8, value: F8, w: int) -> Iterator[tuple[int, int, list[mpf]]]:
    """Rows looked at, after the NULL pattern there has been checked."""
    compared = 0
    for r in PICK:
        for j in range(x.shape[1]):
            values = exact_window(x, r, j, w)
            flat = len(set(values)) <= 1
            expected = not np.isnan(x[r, j]) and len(values) >= needed(w) and not flat
            assert expected == (not np.isnan(value[r, j])), (r, j)
            if expected:
                compared += 1
                yield r, j, values
    assert compared > 100


@pytest.mark.parametrize("name", HARD)
def test_standardised(name: str) -> None:
    w, x = 60, HARD[name]
    z = deviation.standardised(x, AGE, w, needed(w))
    for r, j, values in rows_of(x, z, w):
        n, now = len(values), mpf(float(x[r, j]))
        mean = mp.fsum(values) / n
        sd = mp.sqrt(mp.fsum((v - mean) ** 2 for v in values) / (n - 1))
        want = (now - mean) / sd
        # of the numerator, and of the deviation: sum |x - mean| |x| / sum (x - mean)^2
        kappa = (abs(now) + mp.fsum(abs(v) for v in values) / n) / sd
        kappa += abs(want) * mp.fsum(abs(v - mean) * abs(v) for v in values) / ((n - 1) * sd**2)
        assert abs(float(z[r, j] - want)) <= 100 * EPS * float(kappa), (r, j)


@pytest.mark.parametrize("name", HARD)
def test_channel_index(name: str) -> None:
    w, x = 20, HARD[name]
    cci = channel.channel_index(x, AGE, w, needed(w))
    for r, j, values in rows_of(x, cci, w):
        n, now = len(values), mpf(float(x[r, j]))
        mean = mp.fsum(values) / n
        spread = mp.fsum(abs(v - mean) for v in values) / n
        want = (now - mean) / (mpf(channel.LAMBERT) * spread)
        # each value moves the mean by 1 / n and the spread by at most 2 / n
        kappa = mp.fsum(abs(v) for v in values) / n / (mpf(channel.LAMBERT) * spread) + abs(now) / (
            mpf(channel.LAMBERT) * spread
        )
        kappa += 2 * abs(want) * mp.fsum(abs(v) for v in values) / (n * spread)
        assert abs(float(cci[r, j] - want)) <= 100 * EPS * float(kappa), (r, j)


@pytest.mark.parametrize("name", HARD)
def test_window_mean(name: str) -> None:
    w, x = 60, HARD[name]
    mean = deviation.window_mean(x, AGE, w, needed(w))
    for r in PICK:
        for j in range(x.shape[1]):
            values = exact_window(x, r, j, w)
            if np.isnan(x[r, j]) or len(values) < needed(w):
                assert np.isnan(mean[r, j])
                continue
            size = float(mp.fsum(abs(v) for v in values) / len(values))
            assert abs(float(mean[r, j] - mp.fsum(values) / len(values))) <= 100 * EPS * size


@pytest.mark.parametrize("name", HARD)
def test_relative_strength(name: str) -> None:
    """Sums of positive terms: well conditioned in the changes."""
    change, n = np.diff(HARD[name], axis=0, prepend=HARD[name][:1]), 14
    rsi = wilder.relative_strength(change, AGE, n, 10 * n, 20 * n)
    for j in range(2):
        up, down, count, compared = mpf(0), mpf(0), 0, 0
        for r in range(1200):
            v = float(change[r, j])
            if np.isnan(v):
                assert np.isnan(rsi[r, j])
                continue
            count += 1
            weight = mpf(1) / min(count, n)
            up += weight * (max(mpf(v), 0) - up)
            down += weight * (max(-mpf(v), 0) - down)
            if count < 10 * n:
                assert np.isnan(rsi[r, j])
            elif r % 7 == 0:
                assert abs(float(rsi[r, j] - 100 * up / (up + down))) < 100 * n * EPS * 100
                compared += 1
        assert compared > 100


def test_strength_by_hand() -> None:
    """Period 2: rises 1, 0, 2 and falls 0, 1, 0 smooth to 1/2, 1/2 and then 5/4, 1/4."""
    change = np.array([[1.0], [-1.0], [2.0]])
    rsi = wilder.relative_strength(change, AGE[:3], 2, 2, 4)
    np.testing.assert_allclose(rsi[:, 0], [np.nan, 50.0, 100 * 1.25 / 1.5], rtol=1e-15)


def test_strength_of_nothing_is_fifty() -> None:
    quiet = np.zeros((40, 3))
    quiet[0, 1] = quiet[0, 2] = 1e-6
    quiet[20, 2] = np.nan
    rsi = wilder.relative_strength(quiet, AGE[:40], 2, 5, 10)
    assert (rsi[4:, 0] == 50.0).all()
    assert (rsi[4:9, 1] == 100.0).all()
    assert np.isnan(rsi[12:, 1]).all(), "what moved has faded below 1e-9, and it is not nothing"
    assert np.isnan(rsi[20, 2])


def test_directional_by_hand() -> None:
    """Period 2, second bar up 2 with range 3, third down 1 with range 2."""
    high = np.array([[10.0], [12.0], [11.5]])
    low = np.array([[9.0], [10.0], [9.0]])
    close = np.array([[9.5], [11.0], [9.5]])
    span, plus, minus = ranges.movements(high, low, close, AGE[:3])
    np.testing.assert_array_equal(span[:, 0], [np.nan, 2.5, 2.5])
    np.testing.assert_array_equal(plus[:, 0], [np.nan, 2.0, 0.0])
    np.testing.assert_array_equal(minus[:, 0], [np.nan, 0.0, 1.0])
    up, down, index = wilder.directional(span, plus, minus, AGE[:3], 2, 2, 4)
    assert (up[2, 0], down[2, 0]) == (40.0, 20.0)
    assert index[2, 0] == pytest.approx(100 / 3, rel=1e-15)
    assert np.isnan([up[1, 0], down[1, 0], index[1, 0]]).all()


def test_movement_needs_the_bar_before_in_its_segment() -> None:
    high = walk(1.0) + 1.0
    high[50] = np.nan
    span, plus, minus = ranges.movements(high, high - 2.0, high - 1.0, SPLIT)
    for x in (span, plus, minus):
        gone = np.flatnonzero(np.isnan(x[:, 0]))
        assert gone.tolist() == [0, 50, 51, 700]


@pytest.mark.parametrize("name", ["basis points", "holes"])
def test_extremes_against_pandas(name: str) -> None:
    x = HARD[name]
    high, low = x + 0.5, x - 0.25
    windows = (1, 2, 5, 7, 14, 28, 60, 61, 240, 900)
    found = window_extremes(high, low, SPLIT, windows, [needed(w) for w in windows])
    segment = np.cumsum(SPLIT == 0)
    for w, (top, bottom) in zip(windows, found, strict=True):
        for part in (segment == 1, segment == 2):
            inside = np.arange(int(part.sum()))[:, None] >= w - 1
            rolling = pd.DataFrame(high[part]).rolling(w, min_periods=needed(w))
            np.testing.assert_array_equal(top[part], np.where(inside, rolling.max(), np.nan))
            rolling = pd.DataFrame(low[part]).rolling(w, min_periods=needed(w))
            np.testing.assert_array_equal(bottom[part], np.where(inside, rolling.min(), np.nan))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5) | st.just(float("nan")), min_size=1, max_size=90), st.integers(1, 30))
def test_extremes_of_anything(values: list[float], window: int) -> None:
    x = np.array(values)[:, None]
    age = np.arange(len(x), dtype=np.int32)
    top, bottom = window_extremes(x, x, age, [window], [needed(window)])[0]
    for r in range(len(x)):
        seen = [v for v in values[max(0, r - window + 1) : r + 1] if v == v]
        enough = r >= window - 1 and len(seen) >= needed(window)
        np.testing.assert_array_equal([top[r, 0], bottom[r, 0]], [max(seen), min(seen)] if enough else [np.nan] * 2)


CAP = 128
"""Length of the rings: bar r lies in row r % CAP, which only the last CAP bars can be read from."""


def ring(x: F8, r: int) -> F8:
    out = np.full((CAP, x.shape[1]), 1e9)
    for k in range(max(0, r - CAP + 1), r + 1):
        out[k % CAP] = x[k]
    return out


def same_bits(a: F8, b: F8) -> bool:
    return bool(((np.isnan(a) & np.isnan(b)) | (a.view(np.int64) == b.view(np.int64))).all())


def test_rings_give_the_bits_of_the_batch() -> None:
    """Bar by bar on rings of 128 rows, over a closure, holes and restarts."""
    x = HARD["holes"]
    high, low, w, p = x + 0.5, x - 0.25, 60, 2
    need = needed(w)
    top, bottom = window_extremes(high, low, SPLIT, [w], [need])[0]
    moves = ranges.movements(high, low, x, SPLIT)
    cci = channel.channel_index(x, SPLIT, w, need)
    z, mean = deviation.standardised(x, SPLIT, w, need), deviation.window_mean(x, SPLIT, w, need)
    row, one, other = (np.empty((1, p)), np.empty((1, p)), np.empty((1, p))), np.empty(p), np.empty(p)
    z_state, mean_state, scratch = np.zeros((STATE_ROWS, p)), np.zeros((STATE_ROWS, p)), np.empty((3, p))
    run, last = np.zeros(p), np.full(p, np.nan)
    for r in range(ROWS):
        age = int(SPLIT[r])
        rings = [ring(v, r) for v in (x, high, low)]
        deviation.standard_row(rings[0], r, age, w, need, z_state, run, last, row[0], 0)
        assert same_bits(row[0][0], z[r]), r
        deviation.mean_row(rings[0], r, age, w, need, mean_state, row[0], 0)
        assert same_bits(row[0][0], mean[r]), r
        channel.channel_row(rings[0], r, age, w, need, scratch, row[0], 0)
        assert same_bits(row[0][0], cci[r]), r
        extremes_row(rings[1], rings[2], r, age, w, need, one, other)
        assert same_bits(one, top[r]), r
        assert same_bits(other, bottom[r]), r
        ranges.movement_row(rings[1], rings[2], rings[0], r, age, row, 0)
        for mine, batch in zip(row, moves, strict=True):
            assert same_bits(mine[0], batch[r]), r


def test_wilder_rows_give_the_bits_of_the_batch() -> None:
    x = HARD["holes"]
    change = np.diff(x, axis=0, prepend=x[:1])
    n, need, burn = 14, 140, 280
    rsi = wilder.relative_strength(change, AGE, n, need, burn)
    span, plus, minus = ranges.movements(x + 0.5, x - 0.25, x, AGE)
    batch = wilder.directional(span, plus, minus, AGE, n, need, burn)
    states = [np.zeros(2) for _ in range(7)]
    row = (np.empty((1, 2)), np.empty((1, 2)), np.empty((1, 2)))
    for r in range(ROWS):
        ringed = [ring(v, r) for v in (change, span, plus, minus)]
        wilder.strength_step(ringed[0], r % CAP, n, *states[:3])
        wilder.strength_row(ringed[0], r % CAP, need, *states[:3], row[0], 0)
        assert same_bits(row[0][0], rsi[r]), r
        wilder.directional_step(*ringed[1:], r % CAP, n, *states[3:])
        wilder.directional_row(ringed[1], r % CAP, need, *states[3:], row, 0)
        for mine, whole in zip(row, batch, strict=True):
            assert same_bits(mine[0], whole[r]), r


def column(*values: float) -> F8:
    return np.array(values)[:, None]


def test_side_age_by_hand() -> None:
    """It stops at the cap, waits where there is no value, and a difference within the tie is a side of its own."""
    nan = np.nan
    gap = column(1, 2, 3, 4, nan, nan, 5, -1, nan, -2, 1e-9, 0, 3, 3)
    age = ages.side_age(gap, np.zeros_like(gap), AGE[:14], 1e-6, 3, 10)[:, 0]
    np.testing.assert_array_equal(age, [nan, nan, nan, 3, nan, nan, 3, 0, nan, 1, 0, 1, 0, 1])


def test_event_age_by_hand() -> None:
    nan = np.nan
    x = column(50, -150, 100, 99, nan, 0, 0, 0, 0, 101, nan, -100)
    age = ages.event_age(x, AGE[:12], 100.0, 4, 10)[:, 0]
    np.testing.assert_array_equal(age, [nan, nan, nan, nan, nan, 3, 4, 4, 4, 0, nan, 1])


@pytest.mark.parametrize("burn", [0, 3, 20])
def test_ages_of_a_segment_begin_before_it(burn: int) -> None:
    """With a head start of `burn` bars the age is known once cap + 1 values of the trajectory are in."""
    x = column(*([0.0] * 40))
    x[5] = 500.0
    age = np.r_[np.arange(25), np.arange(15)].astype(np.int32)
    found = ages.event_age(x, age, 100.0, 6, burn)[:, 0]
    first = 25 + max(0, 6 - burn)
    assert np.isnan(found[25:first]).all()
    assert (found[first:] == 6).all()
    np.testing.assert_array_equal(found[6:14], [1, 2, 3, 4, 5, 6, 6, 6])


def test_position_and_depth_by_hand() -> None:
    """Two bars: low 1 and high 3 over both; then a flat pair of bars, and a hole."""
    nan = np.nan
    x, low = column(1, 2, 3, 5, 5, nan), column(1, 1, 1, 5, 5, nan)
    high = column(3, 3, 3, 5, 5, nan)
    up, down = places.places(x, high, low, AGE[:6], {2: 2}, {1: 1, 2: 2})
    np.testing.assert_array_equal(up[2][:, 0], [nan, 50, 100, 100, nan, nan])
    np.testing.assert_array_equal(down[2][:, 0], [nan, -50, 0, 0, nan, nan])
    np.testing.assert_array_equal(down[1][:, 0], [-100, -50, 0, nan, nan, nan])
    assert not np.signbit(down[2][2, 0]), "0, not -0"
    assert places.depth(1.0, 1.0, 3.0) == -100.0


@pytest.mark.parametrize("name", ["basis points", "holes"])
def test_places_are_those_within_the_extremes(name: str) -> None:
    x = HARD[name]
    windows = (5, 14, 60, 90)
    wanted = {w: needed(w) for w in windows}
    up, down = places.places(x, x + 0.5, x - 0.25, SPLIT, wanted, wanted)
    extremes = window_extremes(x + 0.5, x - 0.25, SPLIT, windows, list(wanted.values()))
    for w, (top, bottom) in zip(windows, extremes, strict=True):
        np.testing.assert_array_equal(up[w], 100 * ((x - bottom) / (top - bottom)))
        np.testing.assert_array_equal(down[w], 100 * ((x - top) / (top - bottom)))
        assert (~np.isnan(up[w])).sum() > 1000


def test_mean_of_three_and_ratio() -> None:
    x = column(3, 6, 9, np.nan, 1)
    np.testing.assert_array_equal(oscillators.mean_of_three(x)[:, 0], [np.nan, np.nan, 6, np.nan, np.nan])
    a, b = column(1, 1, 0, np.nan, 1e6), column(2, 1e-9, 1e-13, 1, 1e-7)
    np.testing.assert_array_equal(oscillators.ratio(a, b)[:, 0], [0.5, np.nan, np.nan, np.nan, np.nan])


def test_wilder_is_smooth_with_one_over_n() -> None:
    """RSI from the general smoothing kernel, bit for bit but for the ratio."""
    change = HARD["basis points"]
    none, segment = np.empty((0, 2)), np.zeros(ROWS, dtype=np.int32)
    up, down = (smooth(v, AGE, segment, none, 1 / 14, 14, 140, 280) for v in (change.clip(0), (-change).clip(0)))
    np.testing.assert_array_equal(wilder.relative_strength(change, AGE, 14, 140, 280), 100 * (up / (up + down)))
