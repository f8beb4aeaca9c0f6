"""regime_trend against scipy, arch, statsmodels, brute force and numbers worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from arch.unitroot import VarianceRatio
from numpy.typing import NDArray

from bqx.features.catalogue import datasets
from bqx.features.checks import CHECKS, World
from bqx.features.declare import Dataset
from bqx.features.families.regime_trend import BARS, horizon
from bqx.features.kernels.fluctuation import box_sizes, fluctuation_exponents
from bqx.features.kernels.hysteresis import TAU, hysteresis
from bqx.features.kernels.kendall import kendall_taus
from bqx.features.kernels.reversion import half_life
from bqx.features.kernels.robust_ratio import robust_ratio
from bqx.features.streams import Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
NAMES = ("regime_trend_rate", "regime_trend_bqx")
INSIDE = [True, True, True, False]
NEED = [needed(w) for w in BARS]
LENGTH = 2100
"""Bars of a segment in made-up series."""


class Series:
    """Levels of two segments with a gap of 500 between them, each counted from its own zero. Shapes (n, lanes)."""

    def __init__(self, change: F8) -> None:
        n = len(change)
        self.change = change
        self.age = (np.arange(n) % LENGTH).astype(np.int32)
        self.segment = (np.arange(n) // LENGTH).astype(np.int32)
        through = np.nancumsum(change, axis=0)
        starts = np.vstack([np.zeros(change.shape[1]), through])[(self.segment * LENGTH)]
        self.y = np.where(np.isnan(change), np.nan, through - starts)
        self.through = np.where(np.isnan(change), np.nan, through)
        last = [self.y[self.segment == s] for s in range(int(self.segment[-1]) + 1)]
        self.ends = np.array([[v[~np.isnan(v[:, j]), j][-1] for j in range(change.shape[1])] for v in last])

    def of(self, kernel: Callable[..., F8]) -> dict[int, F8]:
        found = kernel(self.y, self.age, self.segment, self.ends, BARS, NEED, INSIDE)
        return dict(zip(BARS, found, strict=True))

    def lives(self) -> dict[int, F8]:
        rules = zip(BARS, NEED, INSIDE, strict=True)
        return {
            w: half_life(self.y, self.age, self.segment, self.ends, w, (float(n), float(n)), seg) for w, n, seg in rules
        }

    def ratios(self) -> dict[int, F8]:
        rules = zip(BARS, NEED, INSIDE, strict=True)
        return {w: robust_ratio(self.change, self.age, w, horizon(w), float(n), seg) for w, n, seg in rules}


@pytest.fixture(scope="module")
def hard() -> Series:
    """Ticks of 0.3 with fat tails, holes, a quote that stands still."""
    rng = np.random.default_rng(3)
    change = np.round(rng.standard_t(3, (2 * LENGTH, 3))) * 0.3
    change[500:590, 1] = np.nan
    change[3000:3006, :] = np.nan
    change[1000:1300, 2] = 0.0
    return Series(change)


def agree(found: F8, whole: F8, age: I4, w: int, bars: int, expected: Callable[[F8], float], tolerance: float) -> int:
    """Every 37th bar: the kernel's value, and its NULL, is that of `expected` of the last `bars` rows of `whole`."""
    compared = 0
    for r in range(0, len(whole), 37):
        for j in range(whole.shape[1]):
            v = whole[max(0, r - bars + 1) : r + 1, j]
            if len(v) < bars and w > 240:
                continue  # before a pair's first window the warm-up rules, not the kernel
            there = len(v) == bars and (age[r] >= bars - 1 or w > 240)
            there = there and int((~np.isnan(v[-w:])).sum()) >= needed(w)
            if not there:
                assert np.isnan(found[r, j]) or bars > w, (w, r, j)
                continue
            want = expected(v)
            assert np.isnan(found[r, j]) == np.isnan(want), (w, r, j)
            if not math.isnan(want):
                assert found[r, j] == pytest.approx(want, rel=tolerance, abs=tolerance), (w, r, j)
                compared += 1
    return compared


def test_columns() -> None:
    kinds = ("tau", "state", "dur", "switch", "vrz", "dfa", "halflife")
    for name in NAMES:
        home = datasets()[name]
        assert [c.name for c in home.columns] == [f"tr_{kind}_{w}" for kind in kinds for w in BARS]
        assert home.counted
        assert not home.inherited
        assert not home.laggable
        assert home.stage == "1.7.2"


def test_tau_against_scipy(hard: Series) -> None:
    def tau(v: F8) -> float:
        there = ~np.isnan(v)
        return float(scipy.stats.kendalltau(np.arange(len(v))[there], np.round(v[there], 6)).statistic)

    found = hard.of(kendall_taus)
    assert sum(agree(found[w], hard.through, hard.age, w, w, tau, 1e-14) for w in BARS) > 800
    assert np.isnan(found[60][1060:1290, 2]).all(), "a standstill has no order"


@pytest.mark.parametrize("w", BARS)
def test_robust_ratio_against_arch(w: int) -> None:
    """Whole windows, as arch knows no others; volatility that comes in waves, and a drift."""
    rng = np.random.default_rng(w)
    wave = 1.0 + 0.8 * np.sin(np.arange(2 * LENGTH) / 200)[:, None]
    series = Series(rng.standard_normal((2 * LENGTH, 2)) * wave + 0.05)
    found = series.ratios()[w]
    compared = 0
    for r in range(w, 2 * LENGTH, 41):
        if w > 240 or series.age[r] >= w - 1:
            levels = np.r_[0.0, np.cumsum(series.change[r - w + 1 : r + 1, 1])]
            theirs = VarianceRatio(levels, lags=horizon(w), trend="c", debiased=True, robust=True, overlap=True)
            assert found[r, 1] == pytest.approx(theirs.stat, rel=1e-10, abs=1e-10)
            compared += 1
        else:
            assert np.isnan(found[r, 1])
    assert compared > 60


def exponent(v: F8) -> float:
    """Boxes from the window's end, each fitted by numpy."""
    w = len(v)
    logs, sizes = [], sorted({round(4 * (w / 16) ** (i / 15)) for i in range(16)})
    for n in sizes:
        total, points = 0.0, 0
        for end in range(w, n - 1, -n):
            box, x = v[end - n : end], np.arange(n)
            x, box = x[~np.isnan(box)], box[~np.isnan(box)]
            if len(x) >= 3:
                total += float(((box - np.polyval(np.polyfit(x, box, 1), x)) ** 2).sum())
                points += len(x)
        if total / points <= 1e-18:
            return math.nan
        logs.append(math.log(math.sqrt(total / points)))
    return float(np.polyfit(np.log(sizes), logs, 1)[0])


@pytest.mark.parametrize("w", BARS)
def test_fluctuation_by_brute_force(hard: Series, w: int) -> None:
    found = hard.of(fluctuation_exponents)[w]
    rows = np.r_[0 : 2 * LENGTH : 173, 505:720:31, 1000:1400:67, 3002:3100:17]
    compared = 0
    for r in rows[rows >= w].tolist():
        for j in range(3):
            v = hard.through[max(0, r - w + 1) : r + 1, j]
            there = len(v) == w and (w > 240 or hard.age[r] >= w - 1) and (~np.isnan(v)).sum() >= needed(w)
            want = exponent(v) if there else math.nan
            assert found[r, j] == pytest.approx(want, rel=1e-9, nan_ok=True), (r, j)
            compared += there
    assert compared > 60


def test_box_sizes() -> None:
    assert box_sizes(60) == list(range(4, 16))
    assert box_sizes(120) == [4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 18, 20, 23, 26, 30]
    assert box_sizes(240) == [4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60]
    assert box_sizes(1440) == [4, 5, 7, 10, 13, 18, 24, 33, 44, 60, 80, 108, 146, 198, 267, 360]


def test_fluctuation_knows_persistence() -> None:
    """A random walk has 0.5; its changes averaged have more, a series that is pulled back less."""
    noise = np.random.default_rng(8).standard_normal((2 * LENGTH, 8))
    persistent, pulled = noise.copy(), noise.copy()
    for k in range(1, len(noise)):
        persistent[k] += 0.6 * persistent[k - 1]
    level = np.zeros(8)
    for k in range(len(noise)):
        pulled[k] = noise[k] - 0.3 * level
        level = level + pulled[k]
    means = [float(np.nanmean(Series(v).of(fluctuation_exponents)[1440])) for v in (pulled, noise, persistent)]
    assert means[0] < 0.35
    assert means[1] == pytest.approx(0.5, abs=0.04)
    assert means[2] > 0.6


def test_half_life_against_statsmodels(hard: Series) -> None:
    def life(v: F8) -> float:
        w = len(v) - 1
        if np.unique(np.round(v[1:][~np.isnan(v[1:])], 6)).size == 1:
            return math.nan
        z = v - np.nanmean(v[1:])
        both = ~np.isnan(z[1:]) & ~np.isnan(z[:-1])
        if both.sum() < needed(w):
            return math.nan
        phi = float(sm.OLS((z[1:] - z[:-1])[both], z[:-1][both]).fit().params[0])
        return min(-math.log(2) / math.log(1 + phi), w) / w if -1 < phi < 0 else 1.0

    found = hard.lives()
    assert sum(agree(found[w], hard.through, hard.age, w, w + 1, life, 1e-9) for w in BARS) > 800


def test_numbers_by_hand() -> None:
    """Turns, a ramp over a closure, a distance that halves every bar."""
    n = 2 * LENGTH
    turns = Series(np.where(np.arange(n) % 2, 1.0, -1.0)[:, None] * np.ones((1, 2)))
    tau = turns.of(kendall_taus)[60][100, 0]
    # 30 low and 30 high in turn: 2 x 435 pairs are tied; of the other 900, 465 are of one kind and 435 of the other
    assert abs(tau) == pytest.approx(30 / math.sqrt(1770 * 900), rel=1e-15)
    ramp = Series(np.ones((n, 2)))
    assert (ramp.of(kendall_taus)[1440][LENGTH:] == 1.0).all(), "the gap at the closure is left out"
    assert np.isnan(ramp.of(fluctuation_exponents)[60]).all(), "lines fit a ramp: F is 0"
    # y - mean halves every bar: phi = -1/2, a half-life of one bar
    halves = np.zeros((n, 1))
    halves[1000:, 0] = np.diff(np.r_[0.0, 1e6 * 0.5 ** np.arange(n - 1000)])
    found = Series(halves).lives()[60][1040, 0]
    assert found == pytest.approx(1 / 60, rel=0.08)


def test_mirror() -> None:
    """y -> -y: tau changes sign, the others stay, to the bit."""
    rng = np.random.default_rng(4)
    up = Series(rng.standard_t(4, (2 * LENGTH, 2)))
    down = Series(-up.change)
    for w in BARS:
        np.testing.assert_array_equal(up.of(kendall_taus)[w], -down.of(kendall_taus)[w])
        np.testing.assert_array_equal(up.of(fluctuation_exponents)[w], down.of(fluctuation_exponents)[w])
        np.testing.assert_array_equal(up.lives()[w], down.lives()[w])
        np.testing.assert_array_equal(up.ratios()[w], down.ratios()[w])
        states = [hysteresis(v.of(kendall_taus)[w], v.age, TAU, 0)[0] for v in (up, down)]
        np.testing.assert_array_equal(states[0], -states[1])


Plant = Callable[[Streams, str, F8], F8]


def early(streams: Streams, name: str, honest: F8) -> F8:
    """One bar too early."""
    return np.vstack([honest[1:], honest[-1:]])


def over_the_gap(streams: Streams, name: str, honest: F8) -> F8:
    """Levels of several segments taken as they are."""
    none = np.empty((0, streams.panel.shape[1]))
    rules = (streams.panel.grid.seg_age, streams.segment, none, [1440], [1296], [False])
    return kendall_taus(streams.rate_close, *rules)[0]


def without_ties(streams: Streams, name: str, honest: F8) -> F8:
    """tau-a on closes rounded to whole basis points."""
    rules = (streams.panel.grid.seg_age, streams.segment, streams.rate_ends, [60], [54], [True])
    return kendall_taus(np.round(streams.rate_close), *rules)[0]


def from_the_build(streams: Streams, name: str, honest: F8) -> F8:
    """A state that remembers where the loaded bars begin."""
    rules = (streams.panel.grid.seg_age, streams.segment, streams.rate_ends, [60], [54], [True])
    tau = kendall_taus(streams.rate_close, *rules)[0]
    out = np.cumsum(np.abs(np.nan_to_num(tau)) > 0.4, axis=0).astype(np.float64) % 2
    return np.where(np.isnan(honest), np.nan, out)


def any_window(streams: Streams, name: str, honest: F8) -> F8:
    """Windows that reach into the segment before, where it should be NULL."""
    age = np.arange(len(honest), dtype=np.int32)
    return robust_ratio(streams.rate_change, age, 60, 6, 54.0, False)


BUGS: Sequence[tuple[Plant, str, str]] = (
    (early, "tr_dfa_60", "causal"),
    (over_the_gap, "tr_tau_1440", "reference"),
    (without_ties, "tr_tau_60", "reference"),
    (from_the_build, "tr_state_60", "partition"),
    (any_window, "tr_vrz_60", "nulls"),
)


@pytest.mark.parametrize(("plant", "column", "check"), BUGS, ids=[b[0].__name__ for b in BUGS])
def test_planted_bug_is_caught(plant: Plant, column: str, check: str, world: World) -> None:
    home = datasets()["regime_trend_rate"]

    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        return {name: plant(streams, name, home.compute(streams, [name])[name]) for name in names}

    one = replace(home, columns=(home.by_name[column],))
    bent: Dataset = replace(one, compute=compute)
    assert any(r.differing for r in CHECKS[check](bent, world))
    assert not any(r.differing for r in CHECKS[check](one, world))
