"""statistics against scipy, numpy, pandas, 50-digit arithmetic and numbers worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import mpmath
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray

from bqx.features.catalogue import count, datasets
from bqx.features.checks import CHECKS, World
from bqx.features.declare import Dataset
from bqx.features.families.statistics_formulas import parse
from bqx.features.kernels import autocorr, moments, patterns, products, quantiles
from bqx.features.kernels.sums import STATE_ROWS
from bqx.features.streams import Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
NAMES = ("statistics_rate", "statistics_bqx")
WINDOWS = (5, 15, 30, 60, 120, 240)
LISTED = """
mean_5min mean_15min mean_30min mean_60min mean_120min std_5min std_15min std_30min std_60min std_120min
skew_15min skew_30min skew_60min skew_120min skew_240min kurt_15min kurt_30min kurt_60min kurt_120min kurt_240min
p5_60min p10_60min p25_60min p50_60min p75_60min p90_60min p95_60min p5_240min p50_240min p95_240min
range_15min range_30min range_60min iqr_15min iqr_30min iqr_120min mad_15min mad_30min mad_60min
snr_15min snr_30min snr_60min perm_entropy_30min perm_entropy_60min perm_entropy_240min
autocorr_lag1 autocorr_lag5 autocorr_lag15 jb_stat_60min jb_stat_240min zscore_15min zscore_90min zscore_180min
var_ratio_2 var_ratio_5 var_ratio_15
"""
COLUMNS = LISTED.split()


@pytest.fixture(scope="module")
def hard() -> tuple[F8, I4]:
    """Changes in ticks with fat tails, holes, a quote that stands still, segments of 1,300 bars. Shape (2600, 3)."""
    rng = np.random.default_rng(3)
    x = np.round(rng.standard_t(3, (2600, 3)) / 0.3) * 0.3
    x[rng.random(x.shape) < 0.02] = np.nan
    x[600:900, 1] = 0.3
    x[1700:1790, 2] = np.nan
    return x, (np.arange(2600) % 1300).astype(np.int32)


def places(x: F8, age: I4, window: int) -> list[tuple[int, int, F8 | None]]:
    """Every seventh bar and lane with the values of its window, None where a value must be NULL."""
    out: list[tuple[int, int, F8 | None]] = []
    for r in range(0, len(x), 7):
        for j in range(x.shape[1]):
            v = x[max(0, r - window + 1) : r + 1, j]
            v = v[~np.isnan(v)]
            out.append((r, j, v if age[r] >= window - 1 and len(v) >= needed(window) else None))
    return out


def agree(found: F8, x: F8, age: I4, window: int, expected: Callable[[F8], float], tolerance: float) -> None:
    """The kernel's values, and its NULLs, are those of `expected` of each window."""
    compared = 0
    for r, j, v in places(x, age, window):
        want = math.nan if v is None else expected(v)
        assert np.isnan(found[r, j]) == np.isnan(want), (r, j)
        if not math.isnan(want):
            assert found[r, j] == pytest.approx(want, rel=tolerance, abs=tolerance), (r, j)
            compared += 1
    assert compared > 500


def varied(expected: Callable[[F8], float]) -> Callable[[F8], float]:
    return lambda v: math.nan if (v == v[0]).all() else float(expected(v))


def test_columns() -> None:
    for name in NAMES:
        home = datasets()[name]
        assert [c.name for c in home.columns] == COLUMNS
        assert home.counted
        assert home.laggable
        assert home.inherited == (name == "statistics_rate")
    assert count([datasets()[n] for n in NAMES]) | {"datasets": 2} == count([]) | {
        "datasets": 2, "columns": 112, "counted": 112, "inherited": 56, "laggable": 112
    }  # fmt: skip
    assert [datasets()[n].stage for n in NAMES] == ["1.6.9a", "1.6.12"]


@pytest.mark.parametrize("w", WINDOWS)
@pytest.mark.filterwarnings("ignore:Precision loss")
def test_moments_against_scipy(hard: tuple[F8, I4], w: int) -> None:
    x, age = hard
    mean, deviation, skew, kurt, bera = moments.shape(x, age, w, needed(w), w >= 15, w >= 15)
    agree(mean, x, age, w, lambda v: float(np.mean(v)), 1e-13)
    agree(deviation, x, age, w, lambda v: float(np.std(v, ddof=1)), 1e-12)
    if w >= 15:
        agree(skew, x, age, w, varied(lambda v: scipy.stats.skew(v, bias=False)), 1e-11)
        agree(kurt, x, age, w, varied(lambda v: scipy.stats.kurtosis(v, bias=False)), 1e-11)
        agree(bera, x, age, w, varied(lambda v: scipy.stats.jarque_bera(v).statistic), 1e-11)
    for ddof in (0, 1):
        shift, excess, spread = moments.centre(x, age, w, needed(w), ddof)
        agree(shift + excess, x, age, w, lambda v: float(np.mean(v)), 1e-13)
        agree(spread, x, age, w, lambda v, d=ddof: float(np.std(v, ddof=d)), 1e-12)  # type: ignore[misc]


@pytest.mark.parametrize("w", [15, 30, 60, 240])
def test_moments_against_pandas(w: int) -> None:
    x = np.random.default_rng(w).standard_normal((1500, 2))
    frame = pd.DataFrame(x).rolling(w)
    mean, deviation, skew, kurt, _ = moments.shape(x, np.arange(1500, dtype=np.int32), w, needed(w), True, False)
    for ours, theirs in ((mean, frame.mean()), (deviation, frame.std()), (skew, frame.skew()), (kurt, frame.kurt())):
        np.testing.assert_allclose(ours, theirs.to_numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("w", WINDOWS)
def test_order_statistics_against_numpy_and_scipy(hard: tuple[F8, I4], w: int) -> None:
    x, age = hard
    percents = np.array([0, 5, 10, 25, 50, 75, 90, 95, 100])
    found, mad = quantiles.order_statistics(x, age, w, needed(w), percents, True)
    for k, q in enumerate(percents):
        agree(found[k], x, age, w, lambda v, q=q: float(np.quantile(v, q / 100)), 1e-13)  # type: ignore[misc]
    agree(mad, x, age, w, lambda v: 1.4826 * float(scipy.stats.median_abs_deviation(v)), 1e-13)


def entropy(y: F8) -> float:
    """By hand: share of each order of three, the earlier of equals first."""
    seen: dict[tuple[int, ...], int] = {}
    for i in range(len(y) - 2):
        three = y[i : i + 3]
        if not np.isnan(three).any():
            key = tuple(sorted(range(3), key=lambda k: (three[k], k)))
            seen[key] = seen.get(key, 0) + 1
    n = sum(seen.values())
    return sum(c / n * math.log2(n / c) for c in seen.values()) / math.log2(6)


@pytest.mark.parametrize("w", [30, 60, 240])
def test_permutation_entropy_by_brute_force(hard: tuple[F8, I4], w: int) -> None:
    """On whole ticks, so that many values are equal."""
    x, age = hard
    y = np.round(np.nancumsum(x, axis=0) + 0 * x, 6)
    found = patterns.permutation_entropy(
        patterns.patterns(y, age), age, w, needed(w), patterns.standstill(y, age, w + 2)
    )
    compared, flat = 0, 0
    for r in range(w, len(y), 7):
        for j in range(3):
            inside = y[max(r - w - 1, r - age[r]) : r + 1, j]
            valid = sum(not np.isnan(inside[i : i + 3]).any() for i in range(len(inside) - 2))
            still = np.unique(inside[~np.isnan(inside)]).size == 1 and len(inside) == w + 2
            if age[r] < w - 1 or valid < needed(w) or still:
                assert np.isnan(found[r, j])
                flat += still
            else:
                assert found[r, j] == pytest.approx(entropy(inside), abs=1e-13)
                compared += 1
    assert compared > 500


def test_codes_are_the_six_orders() -> None:
    orders = [(0, 1, 2), (0, 2, 1), (1, 2, 0), (1, 0, 2), (2, 0, 1), (2, 1, 0)]
    assert sorted(patterns.pattern(*map(float, o)) for o in orders) == list(range(6))
    rising = patterns.pattern(0.0, 1.0, 2.0)
    assert patterns.pattern(1.0, 1.0, 1.0) == patterns.pattern(0.0, 0.0, 1.0) == rising
    assert patterns.pattern(1.0, 0.0, 1.0) == patterns.pattern(1.0, 0.0, 2.0)
    assert patterns.pattern(1.0, math.nan, 1.0) == patterns.NONE


@pytest.mark.parametrize("k", [1, 5, 15])
def test_autocorrelation_against_pandas(hard: tuple[F8, I4], k: int) -> None:
    x, age = hard
    found = autocorr.autocorrelation(x, age, k, 120, 108)
    compared = 0
    for start in (0, 1300):
        part = pd.DataFrame(x[start : start + 1300])
        now = part.where(part.shift(k).notna())
        theirs = now.rolling(120, min_periods=108).corr(part.shift(k)).to_numpy()[119:]
        ours = found[start + 119 : start + 1300]
        both = ~np.isnan(ours) & np.isfinite(theirs)
        np.testing.assert_allclose(ours[both], theirs[both], atol=1e-9)
        compared += int(both.sum())
    assert compared > 5000
    assert np.isnan(found[780:900, 1]).all(), "a flat window has no correlation"


@pytest.mark.parametrize("q", [2, 5, 15])
def test_variance_ratio_as_lo_and_mackinlay_write_it(q: int) -> None:
    """Their equations 12 and 13 on log prices X_0 .. X_nq; nq = 240."""
    x = np.random.default_rng(q).standard_t(4, (900, 2))
    found = autocorr.variance_ratio(x, np.arange(900, dtype=np.int32), 240, q, (216, needed(241 - q)))
    for r in range(239, 900, 11):
        for j in range(2):
            price = np.r_[0.0, np.cumsum(x[r - 239 : r + 1, j])]
            mu = (price[-1] - price[0]) / 240
            one = sum((b - a - mu) ** 2 for a, b in pairwise(price)) / 239
            m = q * (240 - q + 1) * (1 - q / 240)
            many = sum((price[i] - price[i - q] - q * mu) ** 2 for i in range(q, 241)) / m
            assert found[r, j] == pytest.approx(many / one, rel=1e-11)
    assert np.isnan(found[:239]).all()


def test_numbers_by_hand() -> None:
    """One value apart from n - 1 equal ones has G1 = sqrt(n), G2 = n; changes of +1, -1 in turn are known wholly."""
    age = np.arange(300, dtype=np.int32)
    one = np.zeros((300, 1))
    one[:, 0] = np.where(np.arange(300) % 15 == 0, 1.0, 0.0)
    mean, deviation, skew, kurt, bera = moments.shape(one, age, 15, 15, True, True)
    assert mean[20, 0] == pytest.approx(1 / 15, rel=1e-14)
    assert deviation[20, 0] == pytest.approx(math.sqrt(1 / 15), rel=1e-14)
    assert skew[20, 0] == pytest.approx(math.sqrt(15), rel=1e-13)
    assert kurt[20, 0] == pytest.approx(15, rel=1e-13)
    s, k = 13 / math.sqrt(14), (14**3 + 1) / (14 * 15) - 3  # m3 / m2^1.5 and m4 / m2^2 - 3
    assert bera[20, 0] == pytest.approx(15 / 6 * (s * s + k * k / 4), rel=1e-13)
    ramp = np.arange(300.0)[:, None]
    found, mad = quantiles.order_statistics(ramp, age, 60, 54, np.array([5, 50, 75]), True)
    assert found[:, 59, 0].tolist() == pytest.approx([2.95, 29.5, 44.25], rel=1e-15)
    assert mad[59, 0] == pytest.approx(1.4826 * 15, rel=1e-15)
    turns = np.where(np.arange(300) % 2, -1.0, 1.0)[:, None]
    assert autocorr.autocorrelation(turns, age, 1, 120, 108)[290, 0] == pytest.approx(-1, abs=1e-14)
    assert autocorr.variance_ratio(turns, age, 240, 2, (216, 216))[290, 0] == pytest.approx(0, abs=1e-14)
    ratio = autocorr.variance_ratio(turns, age, 240, 5, (216, 213))[290, 0]
    assert ratio == pytest.approx(0.2 / (1 - 5 / 240) * 239 / 240, rel=1e-13)
    codes = patterns.patterns(turns, age)
    still = patterns.standstill(turns, age, 62)
    assert patterns.permutation_entropy(codes, age, 60, 54, still)[290, 0] == pytest.approx(math.log(2) / math.log(6))


def hard_inputs() -> dict[str, F8]:
    rng = np.random.default_rng(5)
    noise = rng.standard_normal(1500)
    spike = 1e-4 * noise
    spike[1020] = 1.0
    return {
        "returns": noise,
        "price 1.1": 1.1 * np.exp(1e-4 * np.cumsum(noise)),
        "price 150": 150 * np.exp(1e-4 * np.cumsum(noise)),
        "a spike of 10,000 deviations before the restart": spike,
        "quiet after loud": np.r_[100 * noise[:1030], 1e-3 * noise[1030:]],
        "drift": noise + 0.05 * np.arange(1500),
    }


@pytest.mark.parametrize("name", hard_inputs())
def test_moments_against_50_digits(name: str) -> None:
    """Relative error at most 100 x condition number x eps; a power k of deviations has k (1 + abs(mean) / sd)."""
    x = hard_inputs()[name][:, None]
    found = moments.shape(x, np.arange(1500, dtype=np.int32), 60, 54, True, False)
    eps = np.finfo(float).eps
    with mpmath.workdps(50):
        for r in [*range(60, 1000, 97), *range(1019, 1120, 7), 1300, 1499]:
            v = [mpmath.mpf(float(a)) for a in x[r - 59 : r + 1, 0]]
            mean = sum(v) / 60
            m2, m3, m4 = (sum((a - mean) ** k for a in v) / 60 for k in (2, 3, 4))
            s, k = m3 / m2**1.5, m4 / m2**2 - 3
            deviation = mpmath.sqrt(m2 * 60 / 59)
            exact = (mean, deviation, s * mpmath.sqrt(60 * 59) / 58, (59 * (61 * k + 6)) / (58 * 57))
            scale = (max(abs(a) for a in v), deviation, 1 + abs(s), 3 + abs(k))
            condition = float(1 + abs(mean) / mpmath.sqrt(m2))
            for power, ours, want, size in zip((1, 2, 3, 4), found, exact, scale, strict=False):
                error = float(abs(mpmath.mpf(float(ours[r, 0])) - want) / size)
                assert error <= 100 * power * condition * eps, (r, power)


def test_a_flat_window_has_a_mean_and_nothing_to_divide_by() -> None:
    x = np.random.default_rng(0).standard_normal((900, 1)) + 7.1
    x[300:600] = 0.1
    age = np.arange(900, dtype=np.int32)
    mean, deviation, *ratios = moments.shape(x, age, 30, 27, True, True)
    inside = slice(329, 600)
    assert (mean[inside] == 0.1).all()
    assert (deviation[inside] == 0.0).all()
    assert all(np.isnan(v[inside]).all() for v in ratios)
    assert all(not np.isnan(v[600:]).any() for v in ratios)
    assert np.isnan(moments.standard(x, *moments.centre(x, age, 30, 27, 1))[inside]).all()
    y = np.cumsum(np.where((age >= 300) & (age < 600), 0.0, x[:, 0]))[:, None]
    codes = patterns.patterns(y, age)
    found = patterns.permutation_entropy(codes, age, 30, 27, patterns.standstill(y, age, 32))
    assert np.flatnonzero(np.isnan(found[29:, 0])).tolist() == list(range(330 - 29, 600 - 29))


def test_mirror() -> None:
    """x -> -x: odd moments change sign, lower and upper quantiles change places."""
    x = np.random.default_rng(1).standard_t(4, (800, 2))
    age = np.arange(800, dtype=np.int32)
    up, down = (moments.shape(v, age, 60, 54, True, True) for v in (x, -x))
    for sign, a, b in zip((-1, 1, -1, 1, 1), up, down, strict=True):
        np.testing.assert_array_equal(a, sign * b)
    q = np.array([5, 25, 50, 75, 95])
    (a, mad_a), (b, mad_b) = (quantiles.order_statistics(v, age, 60, 54, q, True) for v in (x, -x))
    np.testing.assert_allclose(a, -b[::-1], atol=1e-14)
    np.testing.assert_allclose(mad_a, mad_b, atol=1e-14)


def test_a_ring_of_the_last_bars_gives_the_same_bits(hard: tuple[F8, I4]) -> None:
    """Live: row k at k % 256 of a buffer that is overwritten."""
    x, age = hard
    cap, w, p = 256, 60, x.shape[1]
    ring, codes, flat = np.full((cap, p), np.nan), np.zeros((cap, p), dtype=np.int64), np.zeros((1, p), dtype=bool)
    shape_state = (np.zeros((moments.SHAPE_ROWS, p)), np.zeros(p), np.full(p, np.nan))
    centre_state = (np.zeros((STATE_ROWS, p)), np.zeros(p), np.full(p, np.nan))
    held, size, percents = np.empty((p, w)), np.zeros(p, dtype=np.int64), np.array([5, 50])
    where = quantiles.quantile_places(percents, w)
    counts, table = np.zeros((7, p), dtype=np.int64), patterns.entropy_table(w)
    ratio_state = (np.zeros((2, STATE_ROWS, p)), np.zeros(p), np.full(p, np.nan))
    batch_shape, batch_centre = moments.shape(x, age, w, 54, True, True), moments.centre(x, age, w, 54, 0)
    batch_order, batch_mad = quantiles.order_statistics(x, age, w, 54, percents, True)
    batch_codes, none = patterns.patterns(x, age), np.zeros(x.shape, dtype=bool)
    batch_entropy = patterns.permutation_entropy(batch_codes, age, w, 54, none)
    sums, ring_sums = autocorr.sums_of(x, age, 5), np.full((cap, p), np.nan)
    batch_ratio = autocorr.variance_ratio(x, age, w, 5, (54, 51))
    for r in range(len(x)):
        ring[r % cap], codes[r % cap], ring_sums[r % cap] = x[r], batch_codes[r], sums[r]
        out = tuple(np.empty((1, p)) for _ in range(5))
        moments.shape_step(ring, r, age[r], w, 54, *shape_state, out, 0)  # type: ignore[arg-type]
        for live, whole in zip(out, batch_shape, strict=True):
            np.testing.assert_array_equal(live[0], whole[r])
        moments.centre_step(ring, r, age[r], w, 54, 0, *centre_state, out[:3], 0)  # type: ignore[arg-type]
        for live, whole in zip(out[:3], batch_centre, strict=True):
            np.testing.assert_array_equal(live[0], whole[r])
        order = np.empty((2, 1, p))
        quantiles.order_step(ring, r, age[r], w, 54, *where, held, size, order, out[0], 0)
        np.testing.assert_array_equal(order[:, 0], batch_order[:, r])
        np.testing.assert_array_equal(out[0][0], batch_mad[r])
        patterns.entropy_step(codes, r, age[r], w, 54, flat, table, counts, out[0], 0)
        np.testing.assert_array_equal(out[0][0], batch_entropy[r])
        autocorr.ratio_step(ring, ring_sums, r, age[r], w, 5, (54, 51), *ratio_state, out[0], 0)
        np.testing.assert_array_equal(out[0][0], batch_ratio[r])


@pytest.mark.parametrize("name", NAMES)
def test_no_two_columns_say_the_same(name: str, world: World) -> None:
    """T10: over all three pairs no two columns have a correlation above 0.9999."""
    home = datasets()[name]
    values = world.values(home, *world.span)
    table = np.stack([values[c.name].ravel() for c in home.columns])
    table = table[:, ~np.isnan(table).any(axis=0)]
    assert table.shape[1] > 50_000
    close = np.abs(np.corrcoef(table)) - np.eye(len(table)) > 0.9999
    assert not close.any(), [(home.columns[a].name, home.columns[b].name) for a, b in np.argwhere(close)]


def test_aliases_are_what_they_say(world: World) -> None:
    home, other = datasets()["statistics_rate"], datasets()["returns_raw_rate"]
    names = [c.name for c in home.columns if c.alias_of]
    values = world.values(home, *world.span, names)
    assert names == [f"mean_{w}min" for w in (5, 15, 30, 60, 120)]
    for name in names:
        w = parse(name)[1]
        change = world.values(other, *world.span, [f"ret_{w}"])[f"ret_{w}"]
        both = ~np.isnan(values[name]) & ~np.isnan(change)
        # with a hole in the window the mean is over the changes there are
        same = np.isclose(values[name][both], change[both] / w, rtol=1e-9, atol=1e-12)
        assert same.mean() > 0.98
        assert np.corrcoef(values[name][both], change[both])[0, 1] > 0.999


def early(streams: Streams, name: str, honest: F8) -> F8:
    return np.vstack([honest[1:], honest[-1:]])


def population(streams: Streams, name: str, honest: F8) -> F8:
    return honest * math.sqrt(1 - 1 / parse(name)[1])


def from_levels(streams: Streams, name: str, honest: F8) -> F8:
    """Moments of the price path in place of its changes."""
    w = parse(name)[1]
    skew: F8 = moments.shape(streams.rate_close, streams.panel.grid.seg_age, w, needed(w), True, True)[2]
    return skew


def across_weekends(streams: Streams, name: str, honest: F8) -> F8:
    """The window reaches into the segment before."""
    w = parse(name)[1]
    age = np.arange(len(honest), dtype=np.int32)
    found, _ = quantiles.order_statistics(streams.rate_change, age, w, needed(w), np.array([50]), False)
    median: F8 = found[0]
    return median


def half_a_window(streams: Streams, name: str, honest: F8) -> F8:
    w = parse(name)[1]
    return moments.shape(streams.rate_change, streams.panel.grid.seg_age, w, w // 2, False, False)[1]


def zero_for_null(streams: Streams, name: str, honest: F8) -> F8:
    return np.nan_to_num(honest)


def shift_by_the_future(streams: Streams, name: str, honest: F8) -> F8:
    """The mean of a centred block removed and added again: the same number, other bits."""
    block = np.nanmean(np.abs(streams.rate_change), axis=0)
    return (honest + block) - block


BUGS: list[tuple[str, Callable[[Streams, str, F8], F8], set[str]]] = [
    ("mean_60min", early, {"causal", "partition", "nulls", "reference"}),
    ("p50_60min", early, {"causal", "partition", "nulls", "reference"}),
    ("std_60min", population, {"reference"}),
    ("skew_60min", from_levels, {"reference"}),
    ("p50_60min", across_weekends, {"nulls"}),
    ("std_30min", half_a_window, {"nulls"}),
    ("snr_60min", zero_for_null, {"nulls"}),
    ("mean_60min", shift_by_the_future, {"causal", "partition"}),
]


@pytest.mark.parametrize(("column", "plant", "caught"), BUGS, ids=lambda v: getattr(v, "__name__", None))
def test_planted_bug_is_caught(
    column: str, plant: Callable[[Streams, str, F8], F8], caught: set[str], world: World
) -> None:
    whole = datasets()["statistics_rate"]
    home = replace(whole, columns=(whole.by_name[column],))

    def broken(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        return {n: plant(streams, n, v) for n, v in whole.compute(streams, names).items()}

    two = world.only(("eurusd", "usdjpy"))
    assert failures(home, two) == set()
    assert caught <= failures(replace(home, compute=broken), two)


def failures(home: Dataset, world: World) -> set[str]:
    chosen = ("causal", "partition", "nulls", "reference")
    return {name for name in chosen if not all(r.passed for r in CHECKS[name](home, world))}


def test_correlation_over_a_ring_is_the_batch_to_the_bit(hard: tuple[F8, I4]) -> None:
    x, age = hard
    w, p = 120, x.shape[1]
    now, then = np.empty(x.shape), np.empty(x.shape)
    autocorr.lagged_pairs(x, age, 5, now, then)
    batch = np.empty(x.shape)
    products.correlations(now, then, age, w, 108, batch)
    assert (~np.isnan(batch)).sum() > 500
    a, b = np.full((w + 1, p), np.nan), np.full((w + 1, p), np.nan)
    state, out = np.zeros((products.PRODUCT_ROWS, p)), np.empty((1, p))
    runs, lasts = (np.zeros(p), np.zeros(p)), (np.full(p, np.nan), np.full(p, np.nan))
    for r in range(len(x)):
        a[r % (w + 1)], b[r % (w + 1)] = now[r], then[r]
        products.correlation_step(a, b, r, age[r], w, 108, state, runs, lasts, out, 0)
        np.testing.assert_array_equal(out[0].view(np.int64), batch[r].view(np.int64))
