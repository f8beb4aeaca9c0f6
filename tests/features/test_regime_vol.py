"""regime_vol against pandas, scipy and 50 digits; its promises are in test_promises, its states in test_hysteresis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.stats
from numpy.typing import NDArray

from bqx.features.catalogue import datasets
from bqx.features.checks import CHECKS, World
from bqx.features.declare import Dataset
from bqx.features.families.regime_vol import BARS, RANKED, memory_bars, parse
from bqx.features.kernels import memory, squares
from bqx.features.kernels.autocorr import autocorrelation, lagged_pairs
from bqx.features.kernels.hysteresis import CAP, TERCILES, hysteresis
from bqx.features.kernels.lines import slope
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.order import sort_order
from bqx.features.kernels.products import PRODUCT_ROWS
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.kernels.squares import root_sum_of_squares
from bqx.features.streams import Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
NAMES = ("regime_vol_rate", "regime_vol_bqx")
EPS = float(np.finfo(float).eps)


def weeks(rows: int, length: int) -> I4:
    return (np.arange(rows) % length).astype(np.int32)


def changes(rows: int, lanes: int, seed: int = 0) -> F8:
    """Changes whose size comes and goes, in ticks of 0.1, with runs of NULL and one standstill."""
    rng = np.random.default_rng(seed)
    size = np.exp(0.7 * np.sin(np.arange(rows) / 400.0))[:, None]
    x = np.round(10 * size * rng.standard_t(4, (rows, lanes))) / 10
    for _ in range(rows // 400):
        at, lane = rng.integers(rows), rng.integers(lanes)
        x[at : at + rng.integers(1, 20), lane] = np.nan
    x[rows // 2 : rows // 2 + 300, 0] = 0.0
    return x


HARD: dict[str, Callable[[F8], F8]] = {
    "plain": lambda x: x,
    "a spike of a million that leaves": lambda x: np.where(np.arange(len(x))[:, None] == 1100, 1e6, x),
    "small after loud": lambda x: np.where(np.arange(len(x))[:, None] < 1500, 1e3 * x, 1e-5 * x),
    "standstill after a spike": lambda x: np.where(
        np.arange(len(x))[:, None] > 1200, 0.0, np.where(np.arange(len(x))[:, None] == 1190, 1e5, x)
    ),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize(("w", "across"), [(15, False), (60, False), (360, True)])
def test_root_sum_of_squares_against_50_digits(name: str, w: int, across: bool) -> None:
    """A sum of positive terms is well conditioned: 100 eps, whatever has left the window."""
    x, age = HARD[name](changes(3000, 2)), weeks(3000, 1700)
    found = root_sum_of_squares(x, age, w, needed(w), across)
    compared = 0
    with mpmath.workdps(50):
        for r in [*range(0, 3000, 83), *range(1095, 1120), *range(1490, 1500), *range(1560, 1580), 2058, 2059, 2060]:
            first = r - w + 1 if across else max(r - w + 1, r - int(age[r]))
            for j in range(2):
                v = [mpmath.mpf(float(a)) for a in x[max(first, 0) : r + 1, j] if not np.isnan(a)]
                whole = across or age[r] >= w - 1
                if len(v) < needed(w) or not whole:
                    assert np.isnan(found[r, j])
                    continue
                want = mpmath.sqrt(mpmath.fsum(a * a for a in v) * w / len(v))
                if want == 0:
                    assert found[r, j] == 0.0
                else:
                    assert abs(float((mpmath.mpf(float(found[r, j])) - want) / want)) <= 100 * EPS, (r, j)
                compared += 1
    assert compared > 100


def test_a_standstill_is_exactly_zero() -> None:
    """Also when equal mids of other bids and asks differ in the last bit."""
    x, age = changes(3000, 3), weeks(3000, 1700)
    x[1200:1400] = 1e-12
    x[1199] = 1e5
    found = root_sum_of_squares(x, age, 60, 54, False)
    assert (found[1259:1400] == 0.0).all()
    assert (found[1400:1460] > 0.0).any(axis=0).all()
    assert (root_sum_of_squares(x[1200:1400], age[:200], 60, 54, False)[59:] == 0.0).all()
    assert np.isnan(logarithm(found)[1259:1400]).all()
    assert np.isnan(logarithm(np.array([[-1.0, 0.0, math.nan]]))).all()
    np.testing.assert_allclose(logarithm(found[60:1100]), np.log(found[60:1100]), rtol=1e-14, atol=1e-15)


def test_partial_windows_are_rescaled() -> None:
    """A constant size gives the same volatility with holes as without."""
    x, age = np.full((400, 1), 2.0), weeks(400, 400)
    x[100:106] = np.nan
    found = root_sum_of_squares(x, age, 60, 54, False)[59:]
    np.testing.assert_allclose(found, 2.0 * math.sqrt(60), rtol=4 * EPS)


@pytest.mark.parametrize(("w", "across"), [(60, False), (360, True)])
def test_volatility_over_a_ring_and_in_one_lane(w: int, across: bool) -> None:
    x, age = changes(2600, 28, 3), weeks(2600, 1500)
    whole = root_sum_of_squares(x, age, w, needed(w), across)
    assert (~np.isnan(whole)).sum() > 50_000
    one = root_sum_of_squares(np.ascontiguousarray(x[:, 5:6]), age, w, needed(w), across)
    np.testing.assert_array_equal(one[:, 0].view(np.int64), whole[:, 5].view(np.int64))
    ring, state, out = np.full((w + 1, 28), np.nan), np.zeros((squares.SQUARE_ROWS, 28)), np.empty((1, 28))
    for r in range(len(x)):
        ring[r % (w + 1)] = x[r]
        squares.squares_step(ring, r, w, 0 if across else r - age[r], age[r] % 1024 == 0, state)
        enough = needed(w) if across or age[r] >= w - 1 else math.inf
        squares.squares_row(w, float(enough), state, out, 0)
        np.testing.assert_array_equal(out[0].view(np.int64), whole[r].view(np.int64))


def test_rank_against_pandas() -> None:
    """pandas gives equal values their mean rank: 1/2n above ours."""
    x, age = changes(9000, 3), weeks(9000, 7100)
    volatility = root_sum_of_squares(x, age, 60, 54, False).astype(np.float32)
    found = percentile_rank(volatility, RANKED, needed(RANKED))
    table = pd.DataFrame(volatility).rolling(RANKED, min_periods=needed(RANKED))
    count = pd.DataFrame(volatility).notna().rolling(RANKED, min_periods=1).sum()
    theirs = (table.rank(pct=True) - 0.5 / count).to_numpy(copy=True)
    theirs[np.isnan(volatility)] = np.nan
    assert (~np.isnan(found)).sum() > 5000
    np.testing.assert_array_equal(np.isnan(found), np.isnan(theirs))
    np.testing.assert_allclose(found, theirs, atol=1e-13)


def test_order_of_float32_is_that_of_their_values() -> None:
    """Sorted as integers: signs, zeros of both signs, infinities, NULL last."""
    x = np.round(3 * np.random.default_rng(0).standard_normal((3, 5000)), 1).astype(np.float32)
    x[0, ::7], x[1, ::5], x[1, 1::5], x[2, 3], x[2, 9] = np.nan, -0.0, 0.0, -np.inf, np.inf
    order = sort_order(x)
    assert (np.sort(order, axis=1) == np.arange(5000)).all()
    filled = np.where(np.isnan(x), np.inf, x)
    np.testing.assert_array_equal(np.take_along_axis(filled, order, axis=1), np.sort(filled, axis=1))
    np.testing.assert_array_equal(percentile_rank(x.T, 300, 270), percentile_rank(x.T.astype(np.float64), 300, 270))


@pytest.mark.parametrize("w", [480, 1440])
def test_memory_against_pandas(w: int) -> None:
    x, age = np.abs(changes(6000, 3)), weeks(6000, 2500)
    found = memory.autocorrelation_across(x, age, 1, w, needed(w))
    now = pd.DataFrame(x)
    then = now.shift(1)
    then[age == 0] = np.nan
    now = now.where(then.notna())
    then = then.where(now.notna())
    theirs = now.rolling(w, min_periods=needed(w)).corr(then).to_numpy()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(theirs))
    assert (~np.isnan(found)).sum() > 10_000
    np.testing.assert_allclose(found, theirs, atol=1e-9)


def test_memory_within_one_segment_is_the_other_kernels() -> None:
    x, age = np.abs(changes(3000, 3)), weeks(3000, 3000)
    inside = autocorrelation(x, age, 1, 240, 216)
    across = memory.autocorrelation_across(x, age, 1, 240, 216)
    np.testing.assert_array_equal(inside[240:], across[240:])


def test_memory_over_a_ring_and_in_one_lane() -> None:
    x, age, w = np.abs(changes(2600, 28, 3)), weeks(2600, 1500), 480
    whole = memory.autocorrelation_across(x, age, 1, w, needed(w))
    assert (~np.isnan(whole)).sum() > 50_000
    one = memory.autocorrelation_across(np.ascontiguousarray(x[:, 5:6]), age, 1, w, needed(w))
    np.testing.assert_array_equal(one[:, 0].view(np.int64), whole[:, 5].view(np.int64))
    now, then = np.empty(x.shape), np.empty(x.shape)
    lagged_pairs(x, age, 1, now, then)
    a, b = np.full((w + 1, 28), np.nan), np.full((w + 1, 28), np.nan)
    state, out = np.zeros((PRODUCT_ROWS, 28)), np.empty((1, 28))
    runs, lasts = (np.zeros(28), np.zeros(28)), (np.full(28, np.nan), np.full(28, np.nan))
    for r in range(len(x)):
        a[r % (w + 1)], b[r % (w + 1)] = now[r], then[r]
        memory.correlation_across_step(a, b, r, age[r], w, needed(w), state, runs, lasts, out, 0)
        np.testing.assert_array_equal(out[0].view(np.int64), whole[r].view(np.int64))


@pytest.mark.parametrize(("w", "across"), [(60, False), (1440, True)])
def test_slope_against_scipy(w: int, across: bool) -> None:
    x, age = changes(6000, 2), weeks(6000, 2500)
    y = logarithm(root_sum_of_squares(x, age, w, needed(w), across))
    found = slope(y, age, w, needed(w), across)
    compared = 0
    for r in range(w, 6000, 61):
        first = r - w + 1 if across else max(r - w + 1, r - int(age[r]))
        for j in range(2):
            v = y[first : r + 1, j]
            if np.isnan(found[r, j]):
                continue
            at = np.flatnonzero(~np.isnan(v))
            want = scipy.stats.linregress(at, v[at]).slope
            assert found[r, j] == pytest.approx(want, rel=1e-8, abs=1e-12), (r, j)
            compared += 1
    assert compared > 80


def family(name: str) -> Dataset:
    return datasets()[name]


class Still:
    """Streams of given changes: enough for the family's compute."""

    def __init__(self, change: F8) -> None:
        self._change = change
        self.panel = self
        self.grid = self
        self.seg_age = weeks(len(change), len(change))

    def stream(self, domain: str) -> Still:
        return self

    @property
    def change(self) -> F8:
        return self._change


def computed(change: F8, names: Sequence[str]) -> Mapping[str, F8]:
    return family("regime_vol_rate").compute(Still(change), names)  # type: ignore[arg-type]


def test_numbers_by_hand() -> None:
    """As in docs/decisions/031-regime-vol.md."""
    turns = np.where(np.arange(300) % 2, -1.0, 1.0)[:, None]
    turns[285:] *= 2.0
    found = computed(turns, ["vol_ratio_60", "vol_slope_60", "vol_memory_60"])
    assert found["vol_ratio_60"][280, 0] == pytest.approx(1.0, rel=1e-15)
    assert found["vol_slope_60"][280, 0] == pytest.approx(0.0, abs=1e-18)
    assert np.isnan(found["vol_memory_60"][280, 0]), "one size has no correlation"
    assert found["vol_ratio_60"][299, 0] == pytest.approx(4 * math.sqrt(15 / 105), rel=1e-14)
    growing = np.exp(1e-3 * np.arange(RANKED + 100.0))[:, None]
    found = computed(growing, ["vol_pct_60", "vol_slope_60", "vol_state_60"])
    assert found["vol_slope_60"][-1, 0] == pytest.approx(1e-3, rel=1e-9)
    assert found["vol_pct_60"][-1, 0] == 1.0 - 0.5 / RANKED
    assert found["vol_state_60"][-1, 0] == 2.0


def test_mirror() -> None:
    """T6: volatility knows no direction; every column keeps its bits when all changes change sign."""
    names = [c.name for c in family("regime_vol_rate").columns if not c.name.startswith(("vol_dur", "vol_switch"))]
    x = changes(9500, 2)
    up, down = computed(x, names), computed(-x, names)
    for name in names:
        assert (~np.isnan(up[name])).sum() > 500, name
        np.testing.assert_array_equal(up[name].view(np.int64), down[name].view(np.int64))


@pytest.mark.parametrize("name", NAMES)
def test_columns_agree_with_each_other(name: str, world_for: Callable[[Dataset], World]) -> None:
    """T13: state, duration and switches read off the emitted ranks and states."""
    world = world_for(family(name))
    values = world.values(family(name), *world.span)
    for w in BARS:
        rank, state = values[f"vol_pct_{w}"], values[f"vol_state_{w}"]
        assert set(np.unique(state[~np.isnan(state)])) == {0.0, 1.0, 2.0}
        assert (state[rank < 0.33] == 0).all()
        assert (state[rank > 0.67] == 2).all()
        assert (state[(rank > 0.40) & (rank < 0.60)] == 1).all()
        assert (rank[state == 0] <= 0.40).all()
        assert (rank[state == 2] >= 0.60).all()
        length = np.exp(values[f"vol_dur_{w}"]) - 1
        assert np.nanmax(np.abs(length - np.round(length))) < 1e-8
        for j in range(state.shape[1]):
            rows = np.flatnonzero(~np.isnan(state[:, j]))
            moved = np.r_[False, np.diff(state[rows, j]) != 0]
            long = length[rows, j]
            assert (long[moved & ~np.isnan(long)].round() == 1).all()
            both = ~moved & ~np.isnan(long) & np.r_[False, ~np.isnan(long[:-1])]
            assert (long[both].round() == np.minimum(long[np.flatnonzero(both) - 1].round() + 1, CAP)).all()
            changed = np.zeros(len(state))
            changed[rows[moved]] = 1.0
            recent = pd.Series(changed).rolling(1440, min_periods=1).sum().to_numpy()
            told = values[f"vol_switch_{w}"][:, j]
            has = ~np.isnan(told)
            assert has.sum() > 5000
            np.testing.assert_array_equal(told[has], recent[has])


def test_inverted_prices(world_for: Callable[[Dataset], World]) -> None:
    """T6 on bars: USD per EUR or EUR per USD, the volatility is one."""
    home = family("regime_vol_rate")
    world = world_for(home)

    def inverted(frame: pl.DataFrame) -> pl.DataFrame:
        c = {k: 1.0 / pl.col(k) for k in ("open", "close")}
        return frame.with_columns(**c, high=1.0 / pl.col("low"), low=1.0 / pl.col("high"))

    other = replace(world, frames={p: inverted(f) for p, f in world.frames.items()})
    names = [f"vol_{k}_{w}" for k in ("ratio", "slope", "memory") for w in BARS]
    one, two = world.values(home, *world.span, names), other.values(home, *world.span, names)
    for name in names:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-8, atol=1e-10)


def early(streams: Streams, name: str, honest: F8) -> F8:
    return np.vstack([honest[1:], honest[-1:]])


def volatility(streams: Streams, name: str) -> F8:
    w = parse(name)[1]
    age = streams.panel.grid.seg_age
    return root_sum_of_squares(streams.rate_change, age, w, needed(w), w > 240)


def whole_sample(streams: Streams, name: str, honest: F8) -> F8:
    """Ranked among all volatilities there are, as terciles of the full sample (D-L3)."""
    v = volatility(streams, name)
    return np.where(np.isnan(honest), np.nan, pd.DataFrame(v).rank(pct=True).to_numpy() - 1e-6)


def across_weekends(streams: Streams, name: str, honest: F8) -> F8:
    """The short windows reach into the segment before."""
    w = parse(name)[1]
    age = streams.panel.grid.seg_age
    short, long = (root_sum_of_squares(streams.rate_change, age, v, needed(v), True) for v in (w // 4, w))
    return 2.0 * short / long


def about_the_mean(streams: Streams, name: str, honest: F8) -> F8:
    """Standard deviations in place of roots of mean squares."""
    table = pd.DataFrame(streams.rate_change)
    short, long = (table.rolling(v, min_periods=needed(v)).std(ddof=0).to_numpy() for v in (15, 60))
    return np.where(np.isnan(honest), np.nan, short / long)


def no_hysteresis(streams: Streams, name: str, honest: F8) -> F8:
    """Plain terciles: the state chatters."""
    w = parse(name)[1]
    rank = percentile_rank(volatility(streams, name).astype(np.float32), RANKED, needed(RANKED))
    plain = np.where(rank < 0.33, 0.0, np.where(rank > 0.67, 2.0, 1.0))
    return np.where(np.isnan(honest), np.nan, plain + 0 * w)


def one_trajectory(streams: Streams, name: str, honest: F8) -> F8:
    """Durations since the first loaded bar, in place of one trajectory a segment."""
    rank = percentile_rank(volatility(streams, name).astype(np.float32), RANKED, needed(RANKED))
    return hysteresis(rank, np.arange(len(rank), dtype=np.int32), TERCILES, 1, 300, 1440, 0)[1]


def counted_in_values(streams: Streams, name: str, honest: F8) -> F8:
    """The last 1,440 values, however many minutes they span."""
    state = family("regime_vol_rate").compute(streams, [name.replace("switch", "state")])
    (codes,) = state.values()
    out = np.full_like(honest, np.nan)
    for j in range(codes.shape[1]):
        rows = np.flatnonzero(~np.isnan(codes[:, j]))
        moved = pd.Series(np.r_[0, np.diff(codes[rows, j]) != 0])
        out[rows, j] = moved.rolling(1440, min_periods=1).sum().to_numpy()
    return np.where(np.isnan(honest), np.nan, out)


def zero_for_null(streams: Streams, name: str, honest: F8) -> F8:
    return np.nan_to_num(honest)


def running_sums(streams: Streams, name: str, honest: F8) -> F8:
    """Squares added from the first loaded bar on."""
    w = parse(name)[1]
    total = np.cumsum(np.nan_to_num(streams.rate_change) ** 2, axis=0)
    short, long = (total[w:] - total[w - v : -v] for v in (w // 4, w))
    out = honest.copy()
    whole = ~np.isnan(honest[w:]) & (long > 0)
    out[w:] = np.where(whole, 2.0 * np.sqrt(short / np.where(long > 0, long, 1.0)), honest[w:])
    return out


BUGS: list[tuple[str, Callable[[Streams, str, F8], F8], set[str]]] = [
    ("vol_pct_60", early, {"causal", "partition", "nulls", "reference"}),
    ("vol_pct_60", whole_sample, {"causal", "partition", "reference"}),
    ("vol_ratio_60", across_weekends, {"nulls"}),
    ("vol_ratio_60", about_the_mean, {"reference"}),
    ("vol_state_240", no_hysteresis, {"reference"}),
    ("vol_dur_60", one_trajectory, {"nulls", "reference"}),
    ("vol_switch_60", counted_in_values, {"reference"}),
    ("vol_slope_120", zero_for_null, {"nulls"}),
    ("vol_ratio_1440", running_sums, {"partition"}),
]


@pytest.mark.parametrize(("column", "plant", "caught"), BUGS, ids=lambda v: getattr(v, "__name__", None))
def test_planted_bug_is_caught(
    column: str, plant: Callable[[Streams, str, F8], F8], caught: set[str], world_for: Callable[[Dataset], World]
) -> None:
    whole = family("regime_vol_rate")
    home = replace(whole, columns=(whole.by_name[column],))

    def broken(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        return {n: plant(streams, n, v) for n, v in whole.compute(streams, names).items()}

    world = world_for(whole)
    assert failures(home, world, caught) == set()
    assert failures(replace(home, compute=broken), world, caught) == caught


def failures(home: Dataset, world: World, chosen: set[str]) -> set[str]:
    return {name for name in chosen if not all(r.passed for r in CHECKS[name](home, world))}


def test_memory_windows_are_four_and_none_alike() -> None:
    assert [memory_bars(w) for w in BARS] == [240, 480, 960, 1440]
