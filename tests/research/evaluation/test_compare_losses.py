"""Diebold-Mariano against numbers others published, from their data; Clark-West under overlap."""

from __future__ import annotations

import random

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from bqx.base.errors import CheckError
from bqx.research.causality.clark_west import clark_west
from bqx.research.compare_losses import diebold_mariano, statistic

ETS = np.array([
    0.002241270, -0.000661906, -1.200002613, -4.000218178, 3.799373533, 3.401005111, -1.199692125, -0.800490048,
    -1.200048999, 3.399847229, 7.000708948, 2.200989241, -4.800165569, -1.201043375, 3.400167556, 3.000709085,
    0.400267950, -6.800169207, -2.401259050, 1.200112198,
])  # fmt: skip
ARIMA = np.array([
    0.1209998, 8.0622269, -0.9189429, -1.7952436, 5.3431277, 2.0459823, -0.6073261, 0.5516816, -0.7633238, 4.1229472,
    5.8785333, 1.2828331, -3.4854233, 1.1971370, 3.1709314, 2.3408457, 0.4962286, -5.9841362, 0.1537114, 0.4207951,
])  # fmt: skip
"""Errors of the example in the manual of R's forecast::dm.test (WWWusage, rows 81 to 100), as printed by R; the same
data are in the tests of HypothesisTests.jl, with the p-values of R."""


@pytest.mark.parametrize(
    ("power", "horizon", "less", "both"), [(2, 1, 0.4435, 0.8871), (2, 10, 0.4681, 0.9362), (1, 1, 0.6091, 0.7818)]
)
def test_the_example_of_forecast_dm_test(power: int, horizon: int, less: float, both: float) -> None:
    d = np.abs(ETS) ** power - np.abs(ARIMA) ** power
    z = statistic(d, horizon, np.ones(horizon - 1))
    below = float(stats.t.cdf(z, len(d) - 1))
    assert below == pytest.approx(less, abs=1e-3)
    assert 2 * min(below, 1 - below) == pytest.approx(both, abs=1e-3)


def shuffled(rng: random.Random, n: int) -> np.ndarray:
    """`random.sample(range(n), n)` of Python 2, whose published output the next test takes."""
    pool, out = list(range(n)), []
    for i in range(n):
        j = int(rng.random() * (n - i))
        out.append(pool[j])
        pool[j] = pool[n - i - 1]
    return np.array(out, dtype=float)


def test_the_example_of_tsang() -> None:
    """README of github.com/johntwk/Diebold-Mariano-Test: absolute, squared and fourth powers of errors."""
    rng = random.Random(123)
    actual, one, other = (shuffled(rng, 100) for _ in range(3))
    for power, z in ((1, 1.3275742446369585), (2, 1.2112523589452902), (4, 0.9124498079287283)):
        d = np.abs(actual - one) ** power - np.abs(actual - other) ** power
        assert statistic(d, 1, np.ones(0)) == pytest.approx(z, rel=1e-9)


def test_bartlett_variance_equals_statsmodels() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 400)) ** 2
    found = diebold_mariano(a, b, 5, window=24)
    fit = sm.OLS(a - b, np.ones(400)).fit(cov_type="HAC", cov_kwds={"maxlags": 24})
    h = 6
    factor = np.sqrt((401 - 2 * h + h * (h - 1) / 400) / 400)
    assert found.lag == 24 and found.statistic == pytest.approx(factor * float(fit.tvalues[0]), rel=1e-9)
    assert diebold_mariano(a, b, 5).lag == 8, "n^(1/3) without a window"
    with pytest.raises(CheckError):
        diebold_mariano(a[:40], b[:40], 5)


def test_clark_west_takes_a_longer_window() -> None:
    rng = np.random.default_rng(3)
    y, f = np.cumsum(rng.normal(size=(2, 800)), axis=1)
    y, f = y[:, None] - 0.0, f[:, None] - 0.0
    y, f = (x[30:, 0] - x[:-30, 0] for x in (y, f))
    gain = y**2 - (y - 0.1 * f) ** 2 + (0.1 * f) ** 2
    theirs = sm.OLS(gain, np.ones(len(gain))).fit(cov_type="HAC", cov_kwds={"maxlags": 120})
    z, _ = clark_west(y, np.zeros(len(y)), 0.1 * f, 120)
    assert z == pytest.approx(float(theirs.tvalues[0]), rel=1e-9)
    assert abs(z) < abs(clark_west(y, np.zeros(len(y)), 0.1 * f)[0]), "overlap makes it less sure"
