"""Every forecaster keeps the contract; comparisons of losses have the size and power they claim."""

from __future__ import annotations

import doctest
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bqx.base.errors import CheckError, UsageError
from bqx.research import compare_losses
from bqx.research.compare_losses import diebold_mariano
from bqx.research.estimators import Forecaster, forecaster
from bqx.research.estimators.boosting import Boosting
from bqx.research.estimators.ridge_forecast import RidgeForecast, standardised
from bqx.research.walk import fold_losses, scores

N, P = 3000, 12
AT = np.arange(N, dtype=np.int64) * 15


def data(effect: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, P)).astype(np.float32)
    Y = rng.normal(size=(N, 2)) + effect * X[:, :1] * [1.0, -1.0]
    X[rng.random(X.shape) < 0.03] = np.nan
    return X, Y


@pytest.fixture(params=["ridge", "boosting"])
def make(request: pytest.FixtureRequest) -> Callable[[], Forecaster]:
    return lambda: forecaster(request.param)


def test_contract(make: Callable[[], Forecaster]) -> None:
    """Shapes, finite forecasts on NULL, no change of inputs, same bits twice, trials named, one column enough."""
    X, Y = data()
    keep = X.copy(), Y.copy()
    a, b = (make().fit(X[:2000], Y[:2000], AT[:2000], 75, 300) for _ in range(2))
    assert isinstance(a, Forecaster) and a.trials and a.params()
    f = a.predict(X[2000:])
    np.testing.assert_array_equal(f, b.predict(X[2000:]))
    np.testing.assert_allclose(f[:1], a.predict(X[2000:2001]), rtol=1e-9, err_msg="a row is forecast alone")
    assert f.shape == (1000, 2) and np.isfinite(f).all()
    assert np.isfinite(a.predict(np.full((3, P), np.nan, np.float32))).all()
    np.testing.assert_array_equal(keep[0], X)
    np.testing.assert_array_equal(keep[1], Y)
    assert np.corrcoef(f[:, 0], Y[2000:, 0])[0, 1] > 0.2 and np.corrcoef(f[:, 1], Y[2000:, 1])[0, 1] > 0.2
    make().fit(X[:, :1], Y[:, :1], AT, 75, 300).predict(X[:, :1])
    with pytest.raises(UsageError, match="NULL"):
        make().fit(X, np.where(np.arange(N)[:, None] == 5, np.nan, Y), AT, 75, 300)
    with pytest.raises(UsageError, match="order"):
        make().fit(X, Y, AT[::-1], 75, 300)
    with pytest.raises(CheckError, match="least"):
        make().fit(X[:50], Y[:50], AT[:50], 5, 0)


def test_ridge_is_scikit_learns() -> None:
    X, Y = data()
    model = RidgeForecast(penalties=(0.1,)).fit(X, Y, AT, 75, 300)
    Z = standardised(model.scaler, X)
    clip = 5 * np.median(np.abs(Y), axis=0) / 0.6745
    want = Ridge(alpha=0.1 * N, fit_intercept=False).fit(Z, np.clip(Y, -clip, clip)).coef_.T
    np.testing.assert_allclose(model.coef, want, rtol=1e-8, atol=1e-12)


def test_shap_adds_up_and_finds_the_column() -> None:
    X, Y = data(effect=0.5)
    model = Boosting().fit(X, Y, AT, 75, 300)
    parts = model.models[0].predict(X[:50], pred_contrib=True)
    np.testing.assert_allclose(parts.sum(axis=1), model.predict(X[:50])[:, 0], atol=1e-9)
    assert model.shap(X[:500]).argmax(axis=0).tolist() == [0, 0]


def test_unknown_forecaster() -> None:
    with pytest.raises(UsageError, match="ridge, boosting"):
        forecaster("forest")


def test_diebold_mariano_has_its_size_under_overlap() -> None:
    """Equal forecasts of overlapping labels: a one-sided test at 5 % rejects about 5 %; without HAC it would not."""
    rng = np.random.default_rng(0)
    rejected = naive = 0
    for _ in range(400):
        e = np.convolve(rng.normal(size=1009), np.ones(10) / 10, mode="valid")
        d = e + 0.0 * e
        rejected += diebold_mariano(d, np.zeros(1000), 9).worse < 0.05
        naive += d.mean() / (d.std() / np.sqrt(1000)) > 1.645
    assert rejected / 400 < 0.11 < naive / 400
    better = diebold_mariano(rng.normal(size=1000) - 0.3, np.zeros(1000), 4)
    assert better.better < 1e-6 and better.worse > 0.99 and better.mean < 0
    assert doctest.testmod(compare_losses).failed == 0
    with pytest.raises(CheckError):
        diebold_mariano(np.zeros(10), np.zeros(10), 1)


def test_diebold_mariano_equals_a_written_out_one() -> None:
    rng = np.random.default_rng(1)
    a, b, lag = rng.normal(size=300) ** 2, rng.normal(size=300) ** 2, 8
    d = a - b
    n, e = 300, d - d.mean()
    near = [(i, j) for i in range(n) for j in range(max(0, i - lag), min(n, i + lag + 1))]
    total = sum((1 - abs(i - j) / (lag + 1)) * e[i] * e[j] for i, j in near)
    h = lag + 1
    want = d.mean() / np.sqrt(total / n**2) * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert diebold_mariano(a, b, lag).statistic == pytest.approx(want, rel=1e-9)


def test_scores_of_a_known_effect() -> None:
    X, Y = data(effect=0.2)
    table = fold_losses(lambda: forecaster("ridge"), X, Y, AT, np.arange(2000), np.arange(2050, N), 75, 300)
    found = scores(table, ["a", "b"], [60, 75], every=15)
    assert [s.target for s in found] == ["a", "b", "pooled"]
    for s in found:
        assert s.low < 0.04 / 1.04 < s.high and s.p < 0.05 and s.as_dict()["verdict"] != "no demonstrated skill"
    none = fold_losses(lambda: forecaster("ridge"), X, Y[::-1].copy(), AT, np.arange(2000), np.arange(2050, N), 75, 300)
    assert all(s.verdict == "no demonstrated skill" for s in scores(none, ["a", "b"], [60, 75], every=15))
