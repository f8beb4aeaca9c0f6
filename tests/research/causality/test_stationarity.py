"""Both tests against statsmodels, and their joint verdict."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from statsmodels.tsa.stattools import adfuller
from statsmodels.tsa.stattools import kpss as their_kpss

from bqx.base.errors import CausalityError
from bqx.research.causality.stationarity import stationarity


def series(name: str, n: int, seed: int) -> np.ndarray:
    e = np.random.default_rng(seed).normal(size=n)
    if name == "walk":
        return np.cumsum(e)
    if name == "moving average":
        return np.convolve(e, np.ones(9), mode="valid")
    out = np.zeros(n)
    for t in range(1, n):
        out[t] = 0.8 * out[t - 1] + e[t]
    return out


@pytest.mark.parametrize("name", ["walk", "moving average", "autoregression"])
@pytest.mark.parametrize("n", [90, 900])
def test_equal_statsmodels(name: str, n: int) -> None:
    for seed in range(2):
        x = series(name, n, seed)
        mine = stationarity(x)
        theirs = adfuller(x, autolag="BIC", result_object=False)
        assert mine.adf == pytest.approx(theirs[0], rel=1e-8)
        assert mine.adf_p == pytest.approx(theirs[1], rel=1e-6, abs=1e-300)
        assert mine.adf_lags == theirs[2]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            level = their_kpss(x, nlags="auto")
        assert mine.kpss == pytest.approx(level[0], rel=1e-10)
        assert mine.kpss_p == pytest.approx(level[1], rel=1e-10)
        assert mine.kpss_lags == level[2]


def test_verdicts() -> None:
    noise, walk = stationarity(series("moving average", 3000, 2)), stationarity(series("walk", 3000, 1))
    assert noise.certain
    assert noise.word == "stationary"
    assert not walk.certain
    assert walk.word == "unit root"
    with pytest.raises(CausalityError, match="50 finite values"):
        stationarity(np.ones(400))
