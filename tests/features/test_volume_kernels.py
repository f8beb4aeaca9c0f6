"""Kernels of the volume family: 50-digit arithmetic on hard inputs, rings against batches, numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp, mpf, workdps
from numpy.typing import NDArray
from scipy import stats

from bqx.features.checks.result import same_bits
from bqx.features.kernels.flow import bulk_side, log_one_plus, signed_step, signed_volume
from bqx.features.kernels.products import PRODUCT_ROWS, correlation_step, correlations
from bqx.features.kernels.weighted import WEIGHTED_ROWS, weighted_mean, weighted_step

F8 = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
ROWS, W, NEED = 2600, 60, 54
SPLIT = np.r_[np.arange(700), np.arange(ROWS - 700)].astype(np.int32)
"""Two segments; the second is long enough for a restart."""


def noise(seed: int, lanes: int = 2) -> F8:
    return np.random.default_rng(seed).standard_normal((ROWS, lanes))


def holed(x: F8, seed: int = 5) -> F8:
    out = x.copy()
    out[np.random.default_rng(seed).random(x.shape) < 0.04] = np.nan
    out[1500:1560] = np.nan
    return out


def ticks(seed: int, lanes: int = 2) -> F8:
    v = np.floor(np.random.default_rng(seed).gamma(1.5, 20.0, (ROWS, lanes)))
    v[900:980] = 0.0
    return v


def burst(v: F8, size: float) -> F8:
    out = v * 0.37  # no whole numbers
    out[1030] = size
    return out


WEIGHTS = {"ticks": holed(ticks(1)), "a burst that leaves": burst(ticks(1), 1e12), "units": holed(ticks(1)) * 1e9}
VALUES = {"changes": holed(noise(2), 9), "far from zero": 5e3 + noise(2), "a spike": noise(2) * 1e-3}
VALUES["a spike"][1200] = 1e8


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("values", VALUES)
def test_weighted_mean_in_fifty_digits(values: str, weights: str) -> None:
    """Error at most 100 eps of the weighted mean of |x|, the condition of a sum."""
    x, v = VALUES[values], WEIGHTS[weights]
    found = weighted_mean(x, v, SPLIT, W, NEED)
    rows = [*range(40, 90), *range(690, 790), *range(880, 1000), *range(1020, 1110), *range(1190, 1270), 1600, 2599]
    compared = 0
    with workdps(50):
        for r in rows:
            for j in range(2):
                a, w = x[max(r - W + 1, 0) : r + 1, j], v[max(r - W + 1, 0) : r + 1, j]
                both = ~(np.isnan(a) | np.isnan(w))
                total = mp.fsum(mpf(k) for k in w[both])
                if SPLIT[r] < W - 1 or both.sum() < NEED or total == 0:
                    assert np.isnan(found[r, j]), (r, j)
                    continue
                exact = mp.fsum(mpf(p) * mpf(k) for p, k in zip(a[both], w[both], strict=True)) / total
                size = mp.fsum(abs(mpf(p)) * mpf(k) for p, k in zip(a[both], w[both], strict=True)) / total
                assert abs(mpf(found[r, j]) - exact) <= 100 * EPS * size, (r, j)
                compared += 1
    assert compared > 500


@pytest.mark.parametrize("level", [0.0, 5.0, 1e4])
def test_correlation_of_series_of_other_levels(level: float) -> None:
    """As accurate as without the level, whichever side has it; against scipy on the same bars less that level."""
    a, b = holed(noise(3)), np.abs(noise(4)) * 1e-2
    b[np.isnan(a)] = np.nan
    out = np.empty(a.shape)
    for first, second in ((a + level, b), (b, a + level)):
        correlations(first, second, SPLIT, W, NEED, out)
        compared = 0
        for r in range(0, ROWS, 7):
            for j in range(2):
                p, q = a[max(r - W + 1, 0) : r + 1, j], b[max(r - W + 1, 0) : r + 1, j]
                both = ~np.isnan(p)
                if SPLIT[r] < W - 1 or both.sum() < NEED:
                    assert np.isnan(out[r, j])
                    continue
                exact = stats.pearsonr((p + level)[both] - level, q[both]).statistic
                assert abs(out[r, j] - exact) < 100 * EPS * (1 + 10 * level)
                compared += 1
        assert compared > 550


def test_bulk_side_against_scipy() -> None:
    change, deviation = noise(6) * 3, np.abs(noise(7)) + 1e-3
    found = bulk_side(change, deviation)
    np.testing.assert_allclose(found, 2 * stats.norm.cdf(change / deviation) - 1, rtol=0, atol=8 * EPS)
    np.testing.assert_allclose(found, -bulk_side(-change, deviation), rtol=0, atol=4 * EPS)
    assert np.abs(found).max() <= 1.0
    # one deviation: 68.27 % within, so 0.6827 more on its side
    assert bulk_side(np.full((1, 1), 2.5), np.full((1, 1), 2.5))[0, 0] == pytest.approx(0.6826894921370859, abs=1e-15)
    none = bulk_side(np.array([[1.0, 0.0, np.nan, 1.0]]), np.array([[0.0, 0.0, 1.0, np.nan]]))
    assert np.isnan(none).all()


def test_logarithm_of_volumes() -> None:
    v = np.array([[0.0, 1.0, 2.0, 1e3, 1e15, 1e-3, np.nan]])
    found = log_one_plus(v)[0]
    assert found[0] == 0.0
    assert np.isnan(found[-1])
    with workdps(50):
        for have, x in zip(found[1:-1], v[0, 1:-1], strict=True):
            exact = mp.log(mpf(1) + mpf(x))
            assert abs(mpf(have) - exact) <= 4 * EPS * exact + EPS  # 1 + v is rounded


def test_signed_volume_by_hand() -> None:
    """Changes within 1e-9 bps are none; a bar without volume waits; a segment begins at 0."""
    change = np.array([[1.0], [-2.0], [1e-12], [np.nan], [3.0], [-1.0], [1.0]])
    v = np.array([[5.0], [3.0], [9.0], [4.0], [np.nan], [2.0], [7.0]])
    age = np.array([0, 1, 2, 3, 4, 5, 0], dtype=np.int32)
    found = signed_volume(change, v, age)[:, 0]
    np.testing.assert_array_equal(found, [5.0, 2.0, 2.0, np.nan, np.nan, 0.0, 7.0])


def test_rings_give_the_same_bits() -> None:
    """Live: a ring of the window and one bar, a state, and nothing else."""
    x, v = holed(noise(8, 3), 1), holed(ticks(9, 3), 2)
    a, b = np.where(np.isnan(v), np.nan, x), np.where(np.isnan(x), np.nan, log_one_plus(v))
    whole = np.empty(x.shape)
    correlations(a, b, SPLIT, W, NEED, whole)
    mean, side = weighted_mean(x, v, SPLIT, W, NEED), signed_volume(x, v, SPLIT)
    cap, live = W + 1, np.empty((3, 1, 3))
    rings = np.full((4, cap, 3), np.nan)
    weights, products, total = np.zeros((WEIGHTED_ROWS, 3)), np.zeros((PRODUCT_ROWS, 3)), np.zeros(3)
    runs, lasts = (np.zeros(3), np.zeros(3)), (np.full(3, np.nan), np.full(3, np.nan))
    for r in range(ROWS):
        for ring, source in zip(rings, (x, v, a, b), strict=True):
            ring[r % cap] = source[r]
        weighted_step(rings[0], rings[1], r, SPLIT[r], W, NEED, weights, live[0], 0)
        correlation_step(rings[2], rings[3], r, SPLIT[r], W, NEED, products, runs, lasts, live[1], 0)
        signed_step(rings[0], rings[1], r % cap, SPLIT[r], total, live[2], 0)
        for now, batch in zip(live, (mean, whole, side), strict=True):
            assert same_bits(now[0], batch[r]).all(), r
    assert (~np.isnan(mean)).sum() > 4000
    assert (~np.isnan(whole)).sum() > 4000


def test_one_lane_and_many_give_the_same_bits() -> None:
    x, v = holed(noise(8, 28), 1), holed(ticks(9, 28), 2)
    wide, side = weighted_mean(x, v, SPLIT, W, NEED), bulk_side(x, v + 1.0)
    for j in (0, 13, 27):
        one, other = np.ascontiguousarray(x[:, j : j + 1]), np.ascontiguousarray(v[:, j : j + 1])
        assert same_bits(weighted_mean(one, other, SPLIT, W, NEED)[:, 0], np.ascontiguousarray(wide[:, j])).all()
        assert same_bits(bulk_side(one, other + 1.0)[:, 0], np.ascontiguousarray(side[:, j])).all()


def test_a_share_of_all_is_one() -> None:
    """The two sums see the same operations, also where volumes are no whole numbers."""
    v = burst(ticks(1), 1e12)
    found = weighted_mean(np.ones(v.shape), v, SPLIT, W, NEED)
    assert (found[~np.isnan(found)] == 1.0).all()
    assert np.isnan(found[970]).all()
    assert math.isclose(weighted_mean(v, np.ones(v.shape), SPLIT, W, NEED)[800, 0], float(np.mean(v[741:801, 0])))
