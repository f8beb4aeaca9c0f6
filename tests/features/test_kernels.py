"""Kernels against 50-digit arithmetic on hard inputs, and against other people's code on easy ones.

The bar is 100 x condition number x eps. The condition number is that of the quantity with respect to relative changes
of its inputs, and is written beside each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import mpmath
import numba
import numpy as np
import pandas as pd
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding as llvm
from mpmath import mp, mpf
from numpy.typing import NDArray

from bqx.features.kernels.ewma import ewma_deviation
from bqx.features.kernels.extremes import previous_extremes
from bqx.features.kernels.jit import wide
from bqx.features.kernels.lags import lag_across, lag_inside, lag_plain, segment_ends
from bqx.features.kernels.levels import changes, levels, references
from bqx.features.kernels.mathfun import log_ratio, turn
from bqx.features.kernels.momentum import momentum, previous_closes
from bqx.features.kernels.order import LARGEST, sort_order
from bqx.features.kernels.spread import deviation_across
from bqx.features.kernels.sums import RESTART
from bqx.features.streams import ewma_weight
from bqx.features.support import needed

F8 = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
ROWS = 2 * RESTART + 300
TICK_AT = RESTART - 4
"""The bad tick lies in the window whose mean the sums are shifted by from the restart at 1,024 on."""


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with mpmath.workdps(50):
        yield


def walk(level: float, step: float, drift: float = 0.0, seed: int = 3) -> F8:
    rng = np.random.default_rng(seed)
    return level * np.exp(np.cumsum(drift + step / level * rng.standard_normal((ROWS, 2)), axis=0))


def ticked(x: F8, by: float) -> F8:
    out = x.copy()
    out[TICK_AT] *= 1 + by
    return out


def holed(x: F8) -> F8:
    out = x.copy()
    out[np.random.default_rng(5).random(x.shape) < 0.08] = np.nan
    out[1500:1690] = np.nan
    return out


def stepped(x: F8) -> F8:
    """Rounded to ticks of 1e-5 of which one in fifty moves: most windows are flat or nearly so."""
    moves = np.random.default_rng(9).random(x.shape) < 0.02
    return x[0] + np.round(np.cumsum(np.where(moves, 1e-5, 0.0) * np.sign(np.diff(x, axis=0, prepend=1)), axis=0), 5)


HARD: dict[str, F8] = {
    "1.1 with moves of 1e-5": walk(1.1, 1e-5),
    "150 with moves of 1e-5": walk(150.0, 1e-5),
    "tiny drift": walk(1.1, 1e-9, 1e-10),
    "huge drift": walk(1.1, 1e-4, 1e-2),
    "tick of 100 sigma": ticked(walk(1.1, 1e-4), 0.01),
    "holes": holed(walk(1.1, 1e-4)),
    "ticks of 1e-5, mostly flat": stepped(walk(1.1, 1e-5)),
}
MISPRINT = ticked(walk(150.0, 1e-3), -0.99)
"""A hundredth of the price, which the sums are shifted by for 1,024 bars: beyond the bar for deviations."""
AGE = np.arange(ROWS, dtype=np.int32)
PICK = np.unique(
    np.r_[
        70:90:2, TICK_AT - 1 : TICK_AT + 30 : 3, TICK_AT + 70 : TICK_AT + 90 : 3, RESTART - 1 : RESTART + 2,
        1490:1520:3, 1690:1770:5, 2 * RESTART - 1 : 2 * RESTART + 2, np.random.default_rng(1).integers(80, ROWS, 50),
    ]
)  # fmt: skip
"""Rows looked at: around the tick, the restarts and the hole, and some more."""


def mean_and_deviation(values: F8) -> tuple[mpf, mpf]:
    """Mean and sample standard deviation, 50 digits."""
    exact = [mpf(float(v)) for v in values]
    mean = mp.fsum(exact) / len(exact)
    return mean, mp.sqrt(mp.fsum((v - mean) ** 2 for v in exact) / (len(exact) - 1))


def deviation_bound(values: F8, mean: mpf, deviation: mpf) -> float:
    """100 kappa eps sd, kappa = sum |x - mean| |x| / sum (x - mean)^2: d sd / sd for relative changes of each x."""
    if deviation == 0:
        return 0.0
    x, m = np.abs(values), np.abs(values - float(mean))
    return 100 * EPS * float((m * x).sum()) / ((len(values) - 1) * float(deviation))


@pytest.mark.parametrize("w", [15, 75])
@pytest.mark.parametrize("name", HARD)
def test_previous_closes(name: str, w: int) -> None:
    """Momentum, mean and deviation of the W closes before."""
    close = HARD[name]
    shift, excess, spread = previous_closes(close, AGE, w, needed(w))
    b = momentum(shift, excess, close, float(w))
    compared = 0
    for r in PICK[w <= PICK]:
        for j in range(close.shape[1]):
            past, now = close[r - w : r, j], close[r, j]
            past = past[~np.isnan(past)]
            if len(past) < needed(w):
                assert np.isnan([shift[r, j], excess[r, j], spread[r, j]]).all()
                continue
            mean, deviation = mean_and_deviation(past)
            # kappa of a mean of positive values is 1
            assert abs(mpf(shift[r, j]) + mpf(excess[r, j]) - mean) <= 100 * EPS * mean
            assert abs(mpf(spread[r, j]) - deviation) <= deviation_bound(past, mean, deviation)
            if not np.isnan(now):
                exact = w * (mean / mpf(float(now)) - 1)
                # b = W (mean / x - 1): kappa = 2 W (mean / x) / |b|
                assert abs(mpf(b[r, j]) - exact) <= 100 * EPS * 2 * w * mean / mpf(float(now))
                compared += 1
    assert compared > (30 if name == "holes" else 150)


@pytest.mark.parametrize("w", [15, 75])
@pytest.mark.parametrize("name", [*HARD, "misprint"])
def test_momentum_is_far_better_than_the_bar(name: str, w: int) -> None:
    """mean - price is taken on differences: a few ulp of the largest difference, not of the price."""
    close = HARD.get(name, MISPRINT)
    shift, excess, _ = previous_closes(close, AGE, w, needed(w))
    b = momentum(shift, excess, close, float(w))
    for r in PICK[(w <= PICK) & ~np.isnan(b[PICK, 0])]:
        past, now = close[r - w : r, 0], mpf(float(close[r, 0]))
        past = past[~np.isnan(past)]
        exact = w * mp.fsum((mpf(float(v)) - now) / now for v in past) / len(past)
        largest = np.abs(np.r_[past, shift[r, 0]] - float(now)).max() / float(now)
        assert abs(mpf(b[r, 0]) - exact) <= 20 * EPS * w * largest


@pytest.mark.parametrize("w", [20, 480])
@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("of", ["levels", "changes"])
def test_deviation_across(of: str, name: str, w: int) -> None:
    x = HARD[name] if of == "levels" else np.diff(HARD[name], axis=0, prepend=np.nan)
    age = np.r_[np.arange(700), np.arange(ROWS - 700)].astype(np.int32)  # a closure inside, windows reach across
    need = w // 2
    found = deviation_across(x, age, w, need)
    compared = 0
    for r in PICK[w <= PICK][:: 1 if w < 100 else 6]:
        for j in range(x.shape[1]):
            values = x[r - w + 1 : r + 1, j]
            values = values[~np.isnan(values)]
            if len(values) < need:
                assert np.isnan(found[r, j])
                continue
            mean, deviation = mean_and_deviation(values)
            assert abs(mpf(found[r, j]) - deviation) <= deviation_bound(values, mean, deviation)
            compared += 1
    assert compared > 20


@pytest.mark.parametrize("name", HARD)
def test_previous_extremes(name: str) -> None:
    """Exact, condition number 1."""
    x = HARD[name]
    for w in (15, 75):
        high, low = previous_extremes(x, AGE, w, needed(w))
        for r in PICK[w <= PICK]:
            past = x[r - w : r]
            enough = (~np.isnan(past)).sum(axis=0) >= needed(w)
            np.testing.assert_array_equal(
                high[r], np.where(enough, np.nanmax(np.nan_to_num(past, nan=-1e9), 0), np.nan)
            )
            np.testing.assert_array_equal(low[r], np.where(enough, np.nanmin(np.nan_to_num(past, nan=1e9), 0), np.nan))


@pytest.mark.parametrize("name", HARD)
def test_levels_and_changes(name: str) -> None:
    """10^4 ln(a / b): within 3 ulp of the result however close a and b are (kappa would allow 2 / |ln(a / b)|)."""
    close = HARD[name]
    open_ = np.r_[close[:1], close[:-1]]
    reference = references(open_, AGE)
    y, dy = levels(close, reference), changes(close, reference, AGE)
    for r in PICK:
        for j in range(close.shape[1]):
            now = close[r, j]
            if np.isnan(now):
                assert np.isnan([y[r, j], dy[r, j]]).all()
                continue
            before = close[:r, j][~np.isnan(close[:r, j])][-1]
            first = open_[:, j][~np.isnan(open_[:, j])][0]
            for found, base in ((y[r, j], first), (dy[r, j], before)):
                exact = 10_000 * mp.log(mpf(float(now)) / mpf(float(base)))
                assert abs(mpf(found) - exact) <= 3 * mpf(float(np.spacing(abs(float(exact)))))


@pytest.mark.parametrize("name", HARD)
def test_ewma(name: str) -> None:
    """Root of a mean of squares: all terms positive, kappa = 1."""
    close = HARD[name]
    dy = np.diff(np.log(close), axis=0, prepend=np.nan) * 1e4
    alpha, seed, need, burn = ewma_weight(120), 120, 600, 900
    age = np.r_[np.arange(1100), np.arange(ROWS - 1100)].astype(np.int32)
    found = ewma_deviation(dy, age, alpha, seed, need, burn)
    for j in range(dy.shape[1]):
        for start, begin, end in ((0, 0, 1100), (200, 1100, ROWS)):
            mean, count = mpf(0), 0
            for r in range(start, end):
                if r >= begin and (r % 97 == 0 or r in (begin, TICK_AT + 1)):
                    if count < need:
                        assert np.isnan(found[r, j])
                    else:
                        exact = mp.sqrt(mean)
                        assert abs(mpf(found[r, j]) - exact) <= 100 * EPS * exact
                if not np.isnan(dy[r, j]):
                    count += 1
                    weight = mpf(1) / count if count <= seed else mpf(alpha)
                    mean += weight * (mpf(float(dy[r, j])) ** 2 - mean)


@pytest.mark.parametrize("name", HARD)
def test_lags(name: str) -> None:
    """y(t) - y(t - h): kappa = (|y(t)| + |y(t - h)|) / |difference|; across segments the sum of the parts' sizes."""
    close = HARD[name]
    age = np.r_[np.arange(900), np.arange(500), np.arange(ROWS - 1400)].astype(np.int32)
    segment = (np.cumsum(age == 0) - 1).astype(np.int32)
    reference = references(close, age)
    y = levels(close, reference)
    ends = segment_ends(y, segment, 3)
    inside, plain, across = lag_inside(y, age, 60), lag_plain(y, 60), lag_across(y, segment, ends, 700)
    for r in PICK:
        for j in range(y.shape[1]):
            if age[r] >= 60:
                assert inside[r, j] == y[r, j] - y[r - 60, j] or np.isnan(inside[r, j])
            else:
                assert np.isnan(inside[r, j])
            assert np.isnan(plain[r, j]) == np.isnan(y[r, j] - y[r - 60, j])
            if r < 700:
                assert np.isnan(across[r, j])
                continue
            old, now = segment[r - 700], segment[r]
            parts = [y[r, j], *(ends[s, j] for s in range(old, now)), -y[r - 700, j]]
            if np.isnan(parts).any():
                assert np.isnan(across[r, j])
            else:
                exact = mp.fsum(mpf(float(v)) for v in parts)
                assert abs(mpf(across[r, j]) - exact) <= 100 * EPS * float(np.abs(parts).sum())


@pytest.mark.parametrize("by", [0.01, -0.99, 99.0])
@pytest.mark.parametrize("w", [15, 75])
def test_a_bad_tick_leaves_nothing_behind(w: int, by: float) -> None:
    """A tick of 100 sigma: no error outside windows that hold it. Before it, and after the next restart that does not
    see it, no bit. After a misprint of 100 times six digits of a deviation remain until that restart."""
    clean = walk(1.1, 1e-4)
    dirty = ticked(clean, by)
    outside = np.ones(ROWS, dtype=bool)
    outside[TICK_AT : TICK_AT + w + 1] = False
    inside_next = np.arange(ROWS) <= 2 * RESTART
    for quantity in (_momentum_of, _spread_before, _spread_across):
        a, b = quantity(clean, w), quantity(dirty, w)
        np.testing.assert_array_equal(a[:TICK_AT], b[:TICK_AT])
        np.testing.assert_array_equal(a[~inside_next], b[~inside_next])
        for r in np.flatnonzero(outside & inside_next & (np.arange(ROWS) > TICK_AT))[::7]:
            values = clean[r - w : r + 1, 0]
            mean, deviation = mean_and_deviation(values)
            scale = 100 * EPS * w if quantity is _momentum_of else deviation_bound(values, mean, deviation)
            if abs(by) > 0.5 and quantity is not _momentum_of:
                scale = 1e-6 * a[r, 0]
            assert abs(a[r, 0] - b[r, 0]) <= 2 * scale
    age = np.r_[np.arange(TICK_AT - 500), np.arange(ROWS - TICK_AT + 500)].astype(np.int32)
    high, low = previous_extremes(clean, age, w, needed(w))
    high_d, low_d = previous_extremes(dirty, age, w, needed(w))
    np.testing.assert_array_equal(high[outside], high_d[outside])
    np.testing.assert_array_equal(low[outside], low_d[outside])


def _momentum_of(close: F8, w: int) -> F8:
    shift, excess, _ = previous_closes(close, AGE, w, needed(w))
    return momentum(shift, excess, close, float(w))


def _spread_before(close: F8, w: int) -> F8:
    return previous_closes(close, AGE, w, needed(w))[2]


def _spread_across(close: F8, w: int) -> F8:
    return deviation_across(close, AGE, w, needed(w))


def test_flat_windows_are_exactly_flat() -> None:
    """A price that moved away from where the sums were shifted and then stands still has deviation 0, not 1e-11."""
    close = walk(1.1, 1e-4)
    close[600:700] = close[600]
    for w in (15, 75):
        found = deviation_across(close, AGE, w, needed(w))
        assert (found[600 + w : 700] == 0).all()
        _, _, before = previous_closes(close, AGE, w, needed(w))
        assert (before[600 + w : 701] == 0).all()
        assert (np.delete(before, np.r_[: w + 1, 600 + w : 701], axis=0) > 0).all()


# --- elementary functions -------------------------------------------------------------------------------------------


def ulps(found: float, exact: mpf) -> float:
    return float(abs(mpf(found) - exact) / mpf(float(np.spacing(abs(float(exact))))))


def test_log_ratio() -> None:
    rng = np.random.default_rng(11)
    base = np.exp(rng.uniform(-5, 6, 6000))
    change = np.r_[
        rng.uniform(-1e-3, 1e-3, 1000),
        rng.uniform(-1, 1, 2000) * 10.0 ** rng.uniform(-9, -3, 2000),
        rng.uniform(-0.34, 0.34, 1000),
        rng.uniform(-1, 1, 1000),
        np.log(0.5) * rng.integers(-4, 5, 500) + rng.standard_normal(500) * 1e-12,  # near powers of two
        0.5 * np.log(0.5) + rng.standard_normal(500) * 1e-3,  # near the edge of the range reduction
    ]
    worst = {0.001: 0.0, 0.34: 0.0, 10.0: 0.0}
    for a, b in zip(base * np.exp(change), base, strict=True):
        exact = mp.log(mpf(float(a)) / mpf(float(b)))
        kind = next(limit for limit in worst if abs(exact) <= limit)
        worst[kind] = max(worst[kind], ulps(log_ratio(a, b), exact) if exact else 0.0)
    assert worst[0.001] < 1
    assert worst[0.34] < 1.5
    assert worst[10.0] < 2.5, "the quotient is rounded: 1 ulp more at ln(a / b) = 0.35"


def test_log_ratio_at_the_edges() -> None:
    assert log_ratio(1.5, 1.5) == 0.0
    assert np.isnan(log_ratio(np.nan, 1.0))
    assert np.isnan(log_ratio(1.0, np.nan))
    assert log_ratio(np.nextafter(1.1, 2), 1.1) == pytest.approx(np.spacing(1.1) / 1.1, rel=1e-15)
    rng = np.random.default_rng(2)
    for a, b in rng.uniform(0.5, 200, (300, 2)):
        for factor in (2.0, 0.125, 2.0**-30):
            assert log_ratio(a * factor, b * factor) == log_ratio(a, b)


@pytest.mark.parametrize("period", [5, 7, 60, 1440, 7200])
def test_turn(period: int) -> None:
    for k in range(period):
        angle = 2 * mp.pi * k / period
        for found, exact in zip(turn(k, period), (mp.sin(angle), mp.cos(angle)), strict=True):
            if abs(exact) < mpf(10) ** -40:
                assert found == 0.0
            else:
                assert ulps(found, exact) < 2
    assert turn(period + 3, period) == turn(3, period)


# --- other people's code --------------------------------------------------------------------------------------------


def test_ewma_against_scipy() -> None:
    dy = np.random.default_rng(0).standard_normal((3000, 3))
    alpha, seed = ewma_weight(120), 120
    age = np.arange(3000, dtype=np.int32)
    found = ewma_deviation(dy, age, alpha, seed, 600, 2400)
    start = (dy[:seed] ** 2).mean(axis=0)
    later, _ = scipy.signal.lfilter([alpha], [1, alpha - 1], dy[seed:] ** 2, axis=0, zi=(start * (1 - alpha))[None, :])
    assert np.isnan(found[:600]).all()
    np.testing.assert_allclose(found[600:], np.sqrt(later[600 - seed - 1 : -1]), rtol=1e-12)


@pytest.mark.parametrize("w", [20, 480, 960])
def test_deviation_against_numpy_and_pandas(w: int) -> None:
    x = holed(walk(1.1, 1e-4))
    found = deviation_across(x, AGE, w, needed(w))
    rolling = pd.DataFrame(x).rolling(w, min_periods=needed(w)).std().to_numpy()
    np.testing.assert_allclose(found, rolling, rtol=1e-6, atol=1e-12)
    for r in range(w, ROWS, 53):
        for j in range(2):
            v = x[r - w + 1 : r + 1, j]
            v = v[~np.isnan(v)]
            if len(v) >= needed(w):
                assert found[r, j] == pytest.approx(np.std(v - v[0], ddof=1), rel=1e-11)


# --- any input ------------------------------------------------------------------------------------------------------


@st.composite
def panels(draw: st.DrawFn) -> tuple[F8, NDArray[np.int32], int, int]:
    """Values with NaN and many ties, ages of a few segments, a window and how many of it must be valid."""
    lanes = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(1, 25), min_size=1, max_size=4))
    n = sum(lengths)
    value = st.one_of(st.just(np.nan), st.integers(-3, 3).map(float), st.integers(-8000, 8000).map(lambda k: k / 8))
    x = np.array(draw(st.lists(value, min_size=n * lanes, max_size=n * lanes))).reshape(n, lanes)
    age = np.concatenate([np.arange(k) for k in lengths]).astype(np.int32)
    window = draw(st.integers(2, 12))
    return x, age, window, draw(st.integers(2, window))


def each(x: F8, value: Callable[[int, int], float]) -> F8:
    return np.array([[value(r, j) for j in range(x.shape[1])] for r in range(len(x))])


@settings(max_examples=120, deadline=None)
@given(panels())
def test_deviation_any(case: tuple[F8, NDArray[np.int32], int, int]) -> None:
    x, age, w, need = case

    def naive(r: int, j: int) -> float:
        v = x[max(0, r - w + 1) : r + 1, j]
        v = v[~np.isnan(v)]
        if len(v) < need:
            return np.nan
        return 0.0 if (v == v[0]).all() else float(np.std(v, ddof=1))

    found = deviation_across(x, age, w, need)
    np.testing.assert_allclose(found, each(x, naive), rtol=1e-9, atol=1e-9)
    assert ((found == 0) == (each(x, naive) == 0)).all()


@settings(max_examples=120, deadline=None)
@given(panels())
def test_extremes_any(case: tuple[F8, NDArray[np.int32], int, int]) -> None:
    x, age, w, need = case

    def past(r: int, j: int) -> F8:
        v = x[r - w : r, j] if age[r] >= w else np.empty(0)
        return v[~np.isnan(v)]

    high, low = previous_extremes(x, age, w, need)
    np.testing.assert_array_equal(high, each(x, lambda r, j: past(r, j).max() if len(past(r, j)) >= need else np.nan))
    np.testing.assert_array_equal(low, each(x, lambda r, j: past(r, j).min() if len(past(r, j)) >= need else np.nan))


@settings(max_examples=120, deadline=None)
@given(panels())
def test_lags_any(case: tuple[F8, NDArray[np.int32], int, int]) -> None:
    x, age, lag, _ = case
    segment = (np.cumsum(age == 0) - 1).astype(np.int32)
    count = int(segment[-1]) + 1

    def end(s: int, j: int) -> float:
        v = x[segment == s, j]
        v = v[~np.isnan(v)]
        return float(v[-1]) if len(v) else np.nan

    def across(r: int, j: int) -> float:
        if r < lag:
            return np.nan
        return x[r, j] + sum(end(s, j) for s in range(segment[r - lag], segment[r])) - x[r - lag, j]

    ends = segment_ends(x, segment, count)
    np.testing.assert_array_equal(ends, [[end(s, j) for j in range(x.shape[1])] for s in range(count)])
    np.testing.assert_array_equal(lag_across(x, segment, ends, lag), each(x, across))
    back = each(x, lambda r, j: x[r, j] - x[r - lag, j] if r >= lag else np.nan)
    np.testing.assert_array_equal(lag_plain(x, lag), back)
    np.testing.assert_array_equal(lag_inside(x, age, lag), np.where(age[:, None] >= lag, back, np.nan))


@pytest.mark.parametrize("scale", [1.0, 1e9, 0.37])
@pytest.mark.parametrize("far", [LARGEST - 1, LARGEST])
def test_lanes_are_sorted_whatever_they_hold(scale: float, far: int) -> None:
    """Whole numbers by their digits, too wide a range and fractions by numpy; NaN last, ties together."""
    rng = np.random.default_rng(5)
    x = scale * np.rint(20.0 * rng.standard_normal((5, 3000)))
    x[4] = scale * np.rint(LARGEST / 3 * rng.random(3000))
    x[0, ::3], x[1, 5], x[2, :] = np.nan, -0.0, np.nan
    x[3, :3] = x[3].min(), np.nan, x[3].min() + far  # as far from the least as digits reach: not to be NaN's place
    order = sort_order(x)
    assert (np.sort(order, axis=1) == np.arange(3000)).all()
    np.testing.assert_array_equal(np.take_along_axis(x, order, axis=1), np.sort(x, axis=1))


def test_vectors_are_of_four_but_in_loops_that_say_they_are_long() -> None:
    """Where the CPU has AVX-512; what the user has set stays."""

    def long(x: F8) -> float:
        wide()
        total = 0.0
        for v in x:
            total += v
        return total

    compiled = numba.njit("float64(float64[::1])")(long)
    assert all('"prefer-vector-width"="512"' in text for text in compiled.inspect_llvm().values())
    ask = "from bqx.features.kernels import jit; print(jit.config.CPU_FEATURES)"
    found = {}
    for name in ("", "NUMBA_CPU_FEATURES"):
        env = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")}
        env |= {name: "+avx2"} if name else {}
        made = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, env=env)
        found[name] = made.stdout.strip()
    assert found["NUMBA_CPU_FEATURES"] == "+avx2"
    assert ("+prefer-256-bit" in found[""]) == bool(llvm.get_host_cpu_features().get("avx512f"))
