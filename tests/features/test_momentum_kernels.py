"""momentum against statsmodels, numpy, scipy, pandas, TA-Lib, 50-digit arithmetic, brute force and numbers by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

import mpmath
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm
import talib
from numpy.typing import NDArray

from bqx.features.checks.result import same_bits
from bqx.features.families.momentum import DATASETS, WINDOWS
from bqx.features.families.momentum_series import LAGS
from bqx.features.kernels import hac, lines, positions, quadratic, runs
from bqx.features.support import needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
BY_NAME = {d.name: d for d in DATASETS}
FITTED = ((15, False), (60, False), (240, False), (240, True), (960, True))
EPS = float(np.finfo(float).eps)


@pytest.fixture(scope="module")
def hard() -> tuple[F8, I4]:
    """Levels with holes short and long, a quote that stands still, a straight run, segments of 1,300 bars."""
    rng = np.random.default_rng(3)
    y = np.cumsum(rng.standard_t(4, (2600, 3)), axis=0)
    y[:600, 2] = 0.3 * np.arange(600) + 0.02 * rng.standard_normal(600)
    y[:, 1:][rng.random((2600, 2)) < 0.004] = np.nan
    y[600:900, 1] = 7.1
    y[1700:1720, 2] = np.nan
    y[1300:1310, 0] = np.nan
    return y, (np.arange(2600) % 1300).astype(np.int32)


def places(y: F8, age: I4, w: int, across: bool, step: int = 7) -> list[tuple[int, int, F8, F8]]:
    """Row, lane, places and values of every `step`-th window that must have a value."""
    out = []
    for r in range(0, len(y), step):
        first = max(0, r - w + 1)
        if not across and age[r] < w - 1:
            continue
        for j in range(y.shape[1]):
            v = y[first : r + 1, j]
            k = np.arange(first - r, 1, dtype=float)[~np.isnan(v)]
            v = v[~np.isnan(v)]
            if len(v) >= needed(w):
                out.append((r, j, k, v))
    return out


def same_nulls(found: F8, y: F8, age: I4, w: int, across: bool) -> None:
    wanted = np.zeros(found.shape, dtype=bool)
    for r, j, *_ in places(y, age, w, across, 1):
        wanted[r, j] = True
    assert not (~np.isnan(found) & ~wanted).any()


@pytest.mark.parametrize(("w", "across"), FITTED)
def test_lines_against_scipy(hard: tuple[F8, I4], w: int, across: bool) -> None:
    y, age = hard
    slope, share = lines.line(y, age, w, needed(w), across)
    np.testing.assert_array_equal(lines.slope(y, age, w, needed(w), across), slope)
    same_nulls(slope, y, age, w, across)
    compared = 0
    for r, j, k, v in places(y, age, w, across):
        if np.ptp(v) == 0.0:
            assert slope[r, j] == 0.0
            assert np.isnan(share[r, j])
            continue
        want = scipy.stats.linregress(k, v)
        assert slope[r, j] == pytest.approx(want.slope, rel=1e-10, abs=1e-12)
        assert share[r, j] == pytest.approx(want.rvalue**2, abs=1e-12)
        compared += 1
    assert compared > 500


@pytest.mark.parametrize("w", [15, 30, 60, 240])
def test_slope_against_talib_and_parabola_against_pandas_rolling(w: int) -> None:
    y = np.cumsum(np.random.default_rng(w).standard_normal(1200))
    age = np.arange(1200, dtype=np.int32)
    np.testing.assert_allclose(
        lines.slope(y[:, None], age, w, needed(w), False)[:, 0], talib.LINEARREG_SLOPE(y, w), rtol=1e-8, atol=1e-10
    )
    theirs = pd.Series(y).rolling(w).apply(lambda v: 2 * np.polyfit(np.arange(w), v, 2)[0], raw=True).to_numpy()
    np.testing.assert_allclose(quadratic.parabola(y[:, None], age, w, needed(w))[0][:, 0], theirs, rtol=1e-7, atol=1e-9)


def newey_west(k: F8, v: F8, lag: int) -> float:
    """As printed in 1987, autocovariance by autocovariance, over pairs of valid bars."""
    fit = scipy.stats.linregress(k, v)
    g = {int(a): (a - k.mean()) * (b - fit.intercept - fit.slope * a) for a, b in zip(k, v, strict=True)}
    total = math.fsum(x * x for x in g.values())
    for i in range(1, lag + 1):
        total += 2 * (1 - i / (lag + 1)) * math.fsum(x * g[a - i] for a, x in g.items() if a - i in g)
    return float(fit.slope) * math.fsum((k - k.mean()) ** 2) / math.sqrt(total)


@pytest.mark.parametrize(("w", "across"), FITTED)
def test_hac_t_against_statsmodels(hard: tuple[F8, I4], w: int, across: bool) -> None:
    """Full windows against statsmodels (its HAC has no small-sample factor unless asked), others as printed."""
    y, age = hard
    lag = int(4 * (w / 100) ** (2 / 9))
    assert LAGS[w] == lag
    found = hac.slope_t(y, age, w, needed(w), lag, across)
    same_nulls(found, y, age, w, across)
    full, partial = 0, 0
    windows = places(y, age, w, across, 5)
    for r, j, k, v in windows:
        if np.ptp(v) == 0.0:
            assert np.isnan(found[r, j])
            continue
        whole = len(v) == w
        if whole and full < 150:
            model = sm.OLS(v, sm.add_constant(k))
            want = model.fit(cov_type="HAC", cov_kwds={"maxlags": lag, "kernel": "bartlett"}).tvalues[1]
            full += 1
        else:
            want = newey_west(k, v, lag)
            partial += not whole
        assert found[r, j] == pytest.approx(want, rel=1e-8, abs=1e-11), (r, j)
    assert len(windows) > 500
    assert full > 50
    assert partial > 50 or w < 20, "below 20 bars all must be there"


def test_lags() -> None:
    assert sorted(LAGS) == sorted({*WINDOWS, *(4 * w for w in WINDOWS)})


@pytest.mark.parametrize("w", [15, 60, 240])
def test_parabola_against_polyfit(hard: tuple[F8, I4], w: int) -> None:
    y, age = hard
    curve, gain, apex, last = quadratic.parabola(y, age, w, needed(w))
    same_nulls(curve, y, age, w, False)
    vertices, residuals = 0, 0
    for r, j, k, v in places(y, age, w, False):
        if np.ptp(v) == 0.0:
            assert curve[r, j] == 0.0
            assert np.isnan([gain[r, j], apex[r, j], last[r, j]]).all()
            continue
        c, b = np.polyfit(k, v, 2), np.polyfit(k, v, 1)
        one, two = (float(np.sum((v - np.polyval(f, k)) ** 2)) for f in (b, c))
        whole = float(np.sum((v - v.mean()) ** 2))
        assert curve[r, j] == pytest.approx(2 * c[0], rel=1e-8, abs=1e-11)
        assert gain[r, j] == pytest.approx((one - two) / whole, abs=1e-10)
        t_square = (one - two) * (len(v) - 3) / two
        if abs(t_square - 1) > 1e-6:
            assert np.isnan(apex[r, j]) == (t_square < 1)
        if t_square > 1 + 1e-6:
            assert apex[r, j] == pytest.approx(np.clip(-c[1] / (2 * c[0]), -w, w), rel=1e-7, abs=1e-7)
            vertices += 1
        if np.isnan(y[r, j]):
            assert np.isnan(last[r, j])
        else:
            assert last[r, j] == pytest.approx((y[r, j] - c[2]) / math.sqrt(two / len(v)), rel=1e-7, abs=1e-8)
            residuals += 1
    assert min(vertices, residuals) > 200


def brute_streak(signs: Sequence[int]) -> int:
    best = 0
    for sign, group in groupby(signs):
        length = len(list(group))
        best = sign * length if sign and length >= abs(best) else best
    return best


@pytest.mark.parametrize("w", [15, 60, 240])
def test_streak_and_balance_by_brute_force(w: int) -> None:
    rng = np.random.default_rng(w)
    change = np.round(rng.standard_normal((2000, 2)) * 1.1)
    change[rng.random(change.shape) < 0.01] = np.nan
    change[500:800, 0], change[900:1200, 1], change[1300:1600, 1] = 1.0, 0.0, -2.0
    age = (np.arange(2000) % 1000).astype(np.int32)
    streak, balance = runs.signs(change, age, w, needed(w))
    compared = 0
    for r in range(2000):
        for j in range(2):
            v = change[r - w + 1 : r + 1, j]
            if age[r] < w - 1 or (~np.isnan(v)).sum() < needed(w):
                assert np.isnan(streak[r, j])
                assert np.isnan(balance[r, j])
                continue
            assert streak[r, j] * w == pytest.approx(brute_streak(np.nan_to_num(np.sign(v)).astype(int).tolist()))
            assert balance[r, j] == pytest.approx(float(np.nanmean(np.sign(v))), abs=1e-15)
            compared += 1
    assert compared > 500
    assert np.nanmax(streak) == 1.0
    assert np.nanmin(streak) == -1.0


def test_numbers_by_hand() -> None:
    """y = k^2 over three and more bars; signs + + - + + 0 + +; a spike in the middle of five bars."""
    age = np.arange(40, dtype=np.int32)
    square = (age.astype(float) ** 2)[:, None]
    curve, gain, apex, last = quadratic.parabola(square, age, 5, 5)
    assert curve[10, 0] == pytest.approx(2.0, rel=1e-12)
    assert lines.slope(square, age, 5, 5, False)[10, 0] == pytest.approx(16.0, rel=1e-14)  # 2 x middle of 6 .. 10
    assert gain[10, 0] == pytest.approx(14 / 2574, rel=1e-9)  # 2574 = 10 x 16^2 + 14
    assert apex[10, 0] == -5.0, "at 0, ten bars ago, beyond the window"
    assert np.isnan(last[10, 0]), "it lies on the curve"
    signs = np.array([1.0, 1, -1, 1, 1, 0, 1, 1])[:, None]
    streak, balance = runs.signs(signs, np.arange(8, dtype=np.int32), 8, 8)
    assert (streak[7, 0], balance[7, 0]) == (2 / 8, 5 / 8)
    tie, _ = runs.signs(np.array([1.0, 1, -1, -1])[:, None], np.arange(4, dtype=np.int32), 4, 4)
    assert tie[3, 0] == -0.5, "of equals the latest"
    # values 0, 1, 3: slope 1.5, residuals 1/6, -1/3, 1/6, g = -1/6, 0, 1/6; squares 1/18, no neighbours, lag 1
    three = np.array([0.0, 1.0, 3.0])[:, None]
    t = hac.slope_t(three, np.arange(3, dtype=np.int32), 3, 3, 1, False)[2, 0]
    assert t == pytest.approx(1.5 * 2 / math.sqrt(1 / 18), rel=1e-12)


def hard_levels() -> dict[str, F8]:
    rng = np.random.default_rng(5)
    noise = rng.standard_normal(2200)
    spike = np.cumsum(1e-3 * noise)
    spike[1010] += 1e4
    return {
        "walk": np.cumsum(noise),
        "walk a million away": 1e6 + np.cumsum(noise),
        "drift": np.cumsum(0.02 * noise) + 0.5 * np.arange(2200),
        "a spike of ten million steps": spike,
        "quiet after loud": np.cumsum(np.r_[100 * noise[:1030], 1e-2 * noise[1030:]]),
        "jump": np.cumsum(1e-2 * noise) + 1e4 * (np.arange(2200) > 1100),
    }


@pytest.mark.parametrize("name", hard_levels())
@pytest.mark.parametrize("w", [15, 240])
def test_fits_against_50_digits(name: str, w: int) -> None:
    """Error at most 100 x condition x eps. The condition of a slope is sum |u y| / |sum u y| of levels counted from
    their mean, to which a last bit of the levels themselves comes; of t and residuals, 1 / (1 - R^2) more."""
    y = hard_levels()[name]
    age = np.arange(len(y), dtype=np.int32)
    lag = LAGS[w]
    slope, share = (x[:, 0] for x in lines.line(y[:, None], age, w, needed(w), False))
    t = hac.slope_t(y[:, None], age, w, needed(w), lag, False)[:, 0]
    _, gain, _, last = (x[:, 0] for x in quadratic.parabola(y[:, None], age, w, needed(w)))
    with mpmath.workdps(50):
        for r in [*range(1005, 1060, 6), *range(1100, 1400, 37), 2047, 2048, 2199]:
            v = [mpmath.mpf(float(a)) for a in y[r - w + 1 : r + 1]]
            mean = sum(v) / w
            v = [a - mean for a in v]
            u = [mpmath.mpf(2 * i - w + 1) / 2 for i in range(w)]
            p = [a * a - mpmath.mpf(w * w - 1) / 12 for a in u]
            uu, pp = sum(a * a for a in u), sum(a * a for a in p)
            b, c = (
                sum(a * x for a, x in zip(u, v, strict=True)) / uu,
                sum(a * x for a, x in zip(p, v, strict=True)) / pp,
            )
            whole = sum(x * x for x in v)
            e = [x - b * a for a, x in zip(u, v, strict=True)]
            f = [x - c * a for a, x in zip(p, e, strict=True)]
            one, two = sum(x * x for x in e), sum(x * x for x in f)
            g = [a * x for a, x in zip(u, e, strict=True)]
            total = sum(x * x for x in g) + 2 * sum(
                (1 - mpmath.mpf(i) / (lag + 1)) * sum(g[k] * g[k - i] for k in range(i, w)) for i in range(1, lag + 1)
            )
            levels = 1 + float(max(abs(a) for a in y[r - w + 1 : r + 1]) / mpmath.sqrt(whole / w))
            size = float(sum(abs(a * x) for a, x in zip(u, v, strict=True)) / uu)
            assert float(abs(slope[r] - b)) <= 100 * size * EPS
            assert float(abs(share[r] - (whole - one) / whole)) <= 100 * EPS * levels
            assert float(abs(gain[r] - (one - two) / whole)) <= 100 * EPS * levels
            bound = 100 * EPS * float(mpmath.sqrt(whole / one)) * (1 + float(mpmath.sqrt(whole / one))) * 10
            assert float(abs(t[r] / (b * uu / mpmath.sqrt(total)) - 1)) <= max(bound, 100 * EPS * size / abs(float(b)))
            most = float(max(abs(x) for x in v) / mpmath.sqrt(two / w))
            assert float(abs(last[r] - f[-1] / mpmath.sqrt(two / w))) <= 100 * EPS * most * float(whole / two) ** 0.5


def test_across_a_closure_the_gap_does_not_enter() -> None:
    """The same walk whole and cut into weeks that each count from their own zero: one t over 960 bars."""
    y = np.cumsum(np.random.default_rng(0).standard_normal((3000, 2)), axis=0)
    cuts = [0, 700, 1900, 3000]
    parts = [y[a:b] - (y[a - 1] if a else 0.0) for a, b in pairwise(cuts)]
    age = np.concatenate([np.arange(len(p)) for p in parts]).astype(np.int32)
    segment = np.repeat(np.arange(3), [len(p) for p in parts]).astype(np.int32)
    ends = np.array([p[-1] for p in parts])
    cut = hac.slope_t(np.vstack(parts), age, 960, 864, 6, True, (segment, ends))
    whole = hac.slope_t(y, np.arange(3000, dtype=np.int32), 960, 864, 6, False)
    np.testing.assert_allclose(cut[959:], whole[959:], rtol=1e-9)
    assert (~np.isnan(cut[:959])).any(), "90 % are enough"
    slope = lines.slope(np.vstack(parts), age, 960, 864, True, (segment, ends))
    unbroken = lines.slope(y, np.arange(3000, dtype=np.int32), 960, 864, False)
    np.testing.assert_allclose(slope[959:], unbroken[959:], atol=1e-12)


class Ring:
    """The last `cap` rows, row k at k % cap; what is older is overwritten."""

    def __init__(self, y: F8, cap: int) -> None:
        self.y, self.rows = y, np.full((cap, y.shape[1]), np.nan)

    def put(self, r: int) -> F8:
        self.rows[r % len(self.rows)] = self.y[r]
        return self.rows


def equal(live: F8, batch: F8) -> None:
    assert (~np.isnan(batch)).sum() > 500
    assert same_bits(live, batch).all()


@pytest.mark.parametrize("w", [15, 240])
def test_a_ring_of_the_last_bars_gives_the_same_bits(hard: tuple[F8, I4], w: int) -> None:
    y, age = hard
    p, need, lag = y.shape[1], needed(w), LAGS[w]
    state, blocks = positions.position_state(w, p), hac.block_state(w, lag, p)
    fit, curve = positions.position_state(w, p), positions.position_state(w, p)
    work = np.zeros((quadratic.WORK, p))
    lists, valid, balance = runs.run_lists(w, p), np.zeros(p, np.int32), np.zeros(p, np.int32)
    ring, steps = Ring(y, w), Ring(y, w + 1)
    counters = [(np.zeros(p), np.full(p, np.nan)) for _ in range(3)]
    live = [np.full(y.shape, np.nan) for _ in range(9)]
    now = [np.empty((1, p)) for _ in range(9)]
    for r in range(len(y)):
        if age[r] == 0:
            for run, last in counters:
                run[:], last[:] = 0.0, np.nan
        rows, a = ring.put(r), int(age[r])
        lines.line_step(rows, r, a, w, need, w - 1, r - a, fit, *counters[0], (now[0], now[1]), 0)
        hac.slope_t_step(rows, r, a, w, need, w - 1, lag, r - a, state, blocks, *counters[1], now[2], 0)
        quadratic.parabola_step(rows, r, a, w, need, curve, work, *counters[2], (now[3], now[4], now[5], now[6]), 0)
        runs.signs_step(steps.put(r), r, a, w, need, lists, valid, balance, (now[7], now[8]), 0)
        for one, whole in zip(now, live, strict=True):
            whole[r] = one[0]
    batch = (*lines.line(y, age, w, need, False), hac.slope_t(y, age, w, need, lag, False),
             *quadratic.parabola(y, age, w, need), *runs.signs(y, age, w, need))  # fmt: skip
    for one, whole in zip(live, batch, strict=True):
        equal(one, whole)


@pytest.mark.parametrize("w", [15, 240])
def test_28_lanes_have_the_bits_of_one(hard: tuple[F8, I4], w: int) -> None:
    y, age = hard
    wide = np.tile(y, (1, 10))[:, :28]
    for make in (
        lambda x: lines.line(x, age, w, needed(w), True),
        lambda x: (hac.slope_t(x, age, w, needed(w), LAGS[w], True),),
        lambda x: quadratic.parabola(x, age, w, needed(w)),
        lambda x: runs.signs(x, age, w, needed(w)),
    ):
        alone, together = make(y[:, :1].copy()), make(wide)
        for a, b in zip(alone, together, strict=True):
            assert same_bits(a[:, 0].copy(), b[:, 27].copy()).all()
