"""Elementary functions against 50 digits."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.kernels.mathfun import cbrt, exp, normal_cdf

RNG = np.random.default_rng(5)
CASES = (
    pytest.param(
        exp, mp.exp, np.r_[RNG.uniform(-707, 709, 800), RNG.uniform(-1, 1, 800), [0.0, 1e-300]], 1.0, id="exp"
    ),
    pytest.param(cbrt, mp.cbrt, np.exp(RNG.uniform(-300, 300, 1500)), 1.0, id="cbrt"),
    pytest.param(normal_cdf, mp.ncdf, np.r_[RNG.uniform(-1, 9, 1500), [0.0]], 4.0, id="normal_cdf"),
)


@pytest.mark.parametrize(("ours", "exact", "points", "ulps"), CASES)
def test_error(
    ours: Callable[[float], float], exact: Callable[[object], object], points: NDArray[np.float64], ulps: float
) -> None:
    with mp.workdps(50):
        for x in points.tolist():
            truth = exact(mp.mpf(x))
            assert abs(mp.mpf(ours(x)) - truth) <= ulps * mp.mpf(math.ulp(float(truth))), x


def test_normal_cdf_tail() -> None:
    with mp.workdps(50):
        for x in RNG.uniform(-37, -1, 500).tolist():
            truth = mp.ncdf(mp.mpf(x))
            assert abs(mp.mpf(normal_cdf(x)) - truth) <= (4 + x * x) * 2.0**-52 * truth, x


def test_edges() -> None:
    for function in (exp, cbrt, normal_cdf):
        assert math.isnan(function(math.nan))
    assert [exp(-800.0), exp(800.0), exp(0.0)] == [0.0, math.inf, 1.0]
    assert [cbrt(0.0), cbrt(27.0), cbrt(1e-310)] == [0.0, 3.0, 0.0]
    assert [normal_cdf(-40.0), normal_cdf(0.0), normal_cdf(40.0)] == [0.0, 0.5, 1.0]
