"""F, HAC Wald and Clark-West against statsmodels; orders, prices, dependence, and one extra lag for unit roots."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.tsa.stattools import grangercausalitytests

from bqx.base.errors import CausalityError
from bqx.research.causality.clark_west import clark_west
from bqx.research.causality.granger import granger, independent, own_order, price
from bqx.research.causality.hac import bandwidth
from bqx.research.causality.lagged import Lagged, runs


def linked(n: int, lag: int = 2, share: float = 0.2, seed: int = 0) -> np.ndarray:
    """Target, source, and a factor that both load on."""
    e = np.random.default_rng(seed).normal(size=(n, 3)) * np.exp(np.sin(np.arange(n) / 90))[:, None]
    out = e.copy()
    out[:, :2] += 0.5 * e[:, 2:]
    for t in range(lag, n):
        out[t, 0] += 0.3 * out[t - 1, 0] + share * out[t - lag, 1]
    return out


@pytest.mark.parametrize("order", [1, 3, 6])
def test_f_equals_statsmodels(order: int) -> None:
    values = linked(700)[:, :2]
    data = Lagged.of(values, np.arange(700), order)
    fit = granger(data, 0, 1, [], order, order, order=order)
    assert fit is not None
    theirs = grangercausalitytests(values, [order])[order][0]["ssr_ftest"]
    assert fit.answer.f == pytest.approx(theirs[0], rel=1e-9)
    assert fit.answer.f_p == pytest.approx(theirs[1], rel=1e-7)
    assert fit.answer.p == max(fit.answer.wald_p, fit.answer.lm_p), "nothing is paid for an order that was given"


@pytest.mark.parametrize("extra", [0, 1])
def test_hac_wald_equals_statsmodels(extra: int) -> None:
    """With a factor given, and with the lag more of Toda and Yamamoto, which is not tested."""
    values, own, order = linked(900), 2, 3
    data = Lagged.of(values, np.arange(900), 5)
    fit = granger(data, 0, 1, [2], own, 5, extra, order=order)
    assert fit is not None
    base = [0, *data.lags([0, 2], 1, own + extra), *data.lags([1], order + 1, order + extra)]
    X = data.block([*base, *data.lags([1], 1, order)])
    window = {"maxlags": bandwidth(len(X))}
    theirs = sm.OLS(data.block([data.at(0, 0)])[:, 0], X).fit(cov_type="HAC", cov_kwds=window, use_t=True)
    test = theirs.f_test(np.eye(X.shape[1])[len(base) :])
    assert fit.answer.wald == pytest.approx(float(test.fvalue), rel=1e-8)
    assert fit.answer.wald_p == pytest.approx(float(test.pvalue), rel=1e-6)
    best = int(np.argmax(np.abs(theirs.tvalues[len(base) :])))
    assert (fit.answer.lag, fit.answer.sign) == (best + 1, np.sign(theirs.params[len(base) + best]))


def test_orders_by_bic_and_their_price() -> None:
    values = linked(4000, lag=4, share=0.3)
    data = Lagged.of(values, np.arange(4000), 11)
    own = own_order(data, 0, [2], 10)
    fit = granger(data, 0, 1, [2], own, 10)
    assert fit is not None
    assert (fit.answer.order, fit.answer.lag, fit.answer.sign) == (4, 4, 1)
    assert fit.answer.p == pytest.approx(max(fit.answer.wald_p, fit.answer.lm_p) * 20 / 1.1, rel=1e-12)
    y = data.block([data.at(0, 0)])[:, 0]
    bic = [sm.OLS(y, data.block([0, *data.lags([0, 2], 1, k)])).fit().bic for k in range(1, 11)]
    assert own == 1 + int(np.argmin(bic))
    assert sum(1 / price(m, 7) for m in range(1, 8)) == pytest.approx(1.0, rel=1e-12)


def test_what_cannot_be_asked() -> None:
    values = linked(300)
    values[:, 1] = 0.7 * values[:, 0] - values[:, 2]
    data = Lagged.of(values, np.arange(300), 4)
    assert granger(data, 0, 1, [2], 1, 3) is None
    with pytest.raises(CausalityError, match="rows with all lags"):
        own_order(Lagged.of(values[:20], np.arange(20), 4), 0, [2], 3)


def test_a_control_that_the_others_imply_is_left_out() -> None:
    """Target, source, a factor, and a second one in the plane of target and factor."""
    values = np.column_stack([linked(900), np.zeros(900)])
    values[:, 3] = 2.0 * values[:, 0] - values[:, 2]
    data = Lagged.of(values, np.arange(900), 5)
    with pytest.raises(CausalityError, match="linearly dependent"):
        own_order(data, 0, [2, 3], 4)
    assert independent(data, 0, [2, 3]) == [2]
    assert independent(data, 0, [3, 2]) == [3]
    values[:, 3] += np.random.default_rng(1).normal(size=900)
    assert independent(Lagged.of(values, np.arange(900), 5), 0, [2, 3]) == [2, 3]


def test_runs_end_at_gaps_segments_and_missing_rows() -> None:
    position = np.array([0, 5, 10, 20, 25, 30, 35])
    segment = np.array([0, 0, 0, 0, 0, 1, 1])
    complete = np.array([1, 1, 1, 1, 1, 1, 0], dtype=bool)
    assert runs(complete, segment, position, 5).tolist() == [0, 1, 2, 0, 1, 0, -1]
    data = Lagged.of(np.arange(14.0).reshape(7, 2), runs(complete, segment, position, 5), 1)
    assert data.rows.tolist() == [1, 2, 4]
    assert data.block([data.at(1, 1)])[:, 0].tolist() == [1.0, 3.0, 7.0]


def test_clark_west_is_a_hac_mean() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(size=600)
    small, large = np.zeros(600), 0.2 * y + 0.3 * rng.normal(size=600)
    f = (y - small) ** 2 - (y - large) ** 2 + (small - large) ** 2
    theirs = sm.OLS(f, np.ones(600)).fit(cov_type="HAC", cov_kwds={"maxlags": bandwidth(600)})
    z, p = clark_west(y, small, large)
    assert z == pytest.approx(float(theirs.tvalues[0]), rel=1e-9)
    assert p == pytest.approx(float(theirs.pvalues[0]) / 2, rel=1e-9)
    assert clark_west(y, small, small) == (0.0, 1.0)
    with pytest.raises(CausalityError):
        clark_west(y[:30], small[:30], large[:30])
