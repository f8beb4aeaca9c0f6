"""health, microstructure, volatility_surface: against loops in plain Python and against `arch`."""

from __future__ import annotations

import arch
import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.kernels.buckets import imbalance
from bqx.features.kernels.drift import drift, mean_across, recent_share, standing
from bqx.features.kernels.garch import ALPHA, BETA, MOST, VARIANCE, fit_garch, garch

F8 = NDArray[np.float64]


def simulated(n: int, alpha: float, beta: float, seed: int) -> F8:
    rng = np.random.default_rng(seed)
    x, h = np.empty(n), 1.0
    for t in range(n):
        x[t] = np.sqrt(h) * rng.standard_normal()
        h = (1.0 - alpha - beta) + alpha * x[t] ** 2 + beta * h
    return x


@pytest.mark.parametrize(("alpha", "beta"), [(0.05, 0.93), (0.15, 0.7)])
def test_garch_agrees_with_arch(alpha: float, beta: float) -> None:
    """Theirs is free in omega, ours has the sample's mean square as its long-run variance: a little less likely, never
    more, and nearly the same alpha and beta."""
    x = simulated(8000, alpha, beta, 7)
    ours = np.empty(4)
    fit_garch(x, ours)
    model = arch.arch_model(x, mean="Zero", rescale=False)
    free = model.fit(disp="off", backcast=float(np.mean(x * x))).params[["omega", "alpha[1]", "beta[1]"]].to_numpy()
    assert 0.0 < likelihood(x, free)[0] - likelihood(x, ours[:3])[0] < 3.0
    assert ours[ALPHA] + ours[BETA] == pytest.approx(free[1] + free[2], abs=0.01)
    assert ours[ALPHA] == pytest.approx(free[1], abs=0.01)
    assert ours[VARIANCE] == pytest.approx(likelihood(x, ours[:3])[1], rel=1e-9)


def likelihood(x: F8, parameters: F8) -> tuple[float, float]:
    """Of normal changes, and the variance after the last, the recursion begun with the mean square."""
    omega, alpha, beta = parameters.tolist()
    h, total = float(np.mean(x * x)), 0.0
    for v in x.tolist():
        total -= 0.5 * (np.log(2.0 * np.pi * h) + v * v / h)
        h = omega + alpha * v * v + beta * h
    return total, h


def test_garch_of_a_quote_that_stands_still_is_null_and_holes_are_passed_over() -> None:
    out = np.empty(4)
    fit_garch(np.zeros(500), out)
    assert np.isnan(out).all()
    x = simulated(3000, 0.05, 0.9, 8)
    whole, holes = np.empty(4), np.empty(4)
    fit_garch(x, whole)
    fit_garch(np.insert(x, range(100, 200), np.nan), holes)
    assert np.array_equal(whole, holes)
    assert 0 < whole[ALPHA] + whole[BETA] < MOST


def test_garch_filter_by_hand() -> None:
    x = np.array([[1.0], [np.nan], [2.0], [1.0]])
    values = np.array([[[0.1, 0.2, 0.7, 3.0]]])
    which, fresh = np.array([-1, 0, 0, 0], dtype=np.int32), np.array([False, True, False, False])
    found = garch(x, values, which, fresh)[:, 0]
    assert np.isnan(found[:2]).all()
    h = 0.1 + 0.2 * 4.0 + 0.7 * 3.0
    assert found[2] == pytest.approx(np.sqrt(h))
    assert found[3] == pytest.approx(np.sqrt(0.1 + 0.2 + 0.7 * h))


def one_sidedness(v: F8, side: F8, size: float, buckets: int) -> float:
    """Single units of volume, the newest first."""
    units = [s for k in range(len(v) - 1, -1, -1) for s in [side[k]] * int(v[k])][: int(size) * buckets]
    if len(units) < size * buckets:
        return float("nan")
    return float(np.mean(np.abs(np.reshape(units, (buckets, -1)).sum(axis=1))) / size)


def test_buckets_agree_with_single_units() -> None:
    rng = np.random.default_rng(9)
    v = rng.integers(0, 30, (400, 1)).astype(np.float64)
    side = rng.uniform(-1.0, 1.0, (400, 1))
    side[50:60] = np.nan
    found = imbalance(v, side, np.full(v.shape, 40.0), 300, 20)
    whole = np.where(np.isnan(side), 0.0, v)
    for r in range(0, 400, 7):
        want = one_sidedness(whole[max(0, r - 299) : r + 1, 0], np.nan_to_num(side[: r + 1, 0][-300:]), 40.0, 20)
        assert found[r, 0] == pytest.approx(want, nan_ok=True, rel=1e-9)
    assert np.isnan(found[:30]).all()
    assert not np.isnan(found[200:]).any()


def test_drift_by_hand() -> None:
    """A day three deviations above the twenty before it."""
    rng = np.random.default_rng(10)
    x = rng.standard_normal((60 * 25, 1))
    x[60 * 24 :] += 1.0
    age = np.arange(len(x), dtype=np.int32)
    days = mean_across(x, age, 60, 54)
    found = drift(days, 60, 20)
    r = len(x) - 1
    before = np.array([x[r - 60 * k - 59 : r - 60 * k + 1, 0].mean() for k in range(1, 21)])
    want = (x[r - 59 :, 0].mean() - before.mean()) / before.std(ddof=1)
    assert found[r, 0] == pytest.approx(want, rel=1e-9)
    assert found[r, 0] > 3.0
    assert np.isnan(found[: 60 * 20 + 53]).all(), "a day is known from its 54th value on"


def test_missing_minutes_and_standing_quotes() -> None:
    age = np.r_[np.arange(30), np.arange(10)].astype(np.int32)
    flag = np.zeros((40, 1))
    flag[5:10] = 1.0
    share = recent_share(flag, age, 20)[:, 0]
    assert np.isnan(share[:19]).all()
    assert [share[19], share[24], share[29]] == [0.25, 0.25, 0.0]
    assert np.isnan(share[30:]).all()
    bid = np.full((40, 1), 1.0)
    bid[8:] = 2.0
    bid[3:5] = np.nan
    bid[32:] = np.nan
    minutes = standing(bid, bid + 0.1, age)[:, 0]
    assert minutes[:9].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    assert minutes[30:34].tolist() == [0, 1, 2, 3]
