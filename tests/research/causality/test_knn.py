"""The estimator against scikit-learn's, against the formula written out, and against what Gaussians have."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_regression

from bqx.base.errors import CausalityError
from bqx.research.causality.granger import granger
from bqx.research.causality.knn import Neighbours, slow_local
from bqx.research.causality.lagged import Lagged


@pytest.mark.parametrize("k", [3, 10])
def test_mutual_information_equals_scikit_learn(k: int) -> None:
    """scikit-learn divides x by its deviation and adds noise of 1e-10 times mean |x| (y alike); no digit of ours moves.

    Its estimate is clipped at 0, so the sample has some."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 1))
    y = 0.6 * x[:, 0] + rng.normal(size=400)
    theirs = mutual_info_regression(x, y, n_neighbors=k, random_state=0)[0]
    mine = Neighbours(y[:, None] / y.std(), np.zeros((400, 0)), k=k).estimate(x / x.std())
    assert mine == pytest.approx(theirs, abs=1e-10)
    assert mine > 0.05


@pytest.mark.parametrize(("dx", "dy", "dz"), [(1, 1, 0), (1, 1, 1), (2, 1, 3), (3, 2, 2)])
def test_equals_the_formula(dx: int, dy: int, dz: int) -> None:
    """Frenzel and Pompe (2007) with all distances at once; each term, and ties too."""
    rng = np.random.default_rng(dx + 10 * dz)
    for digits in (16, 1):
        x, y, z = (np.round(rng.normal(size=(250, d)), digits) for d in (dx, dy, dz))
        y = y + (0.5 * x[:, :1] if digits > 1 else 0.0)
        np.testing.assert_array_equal(Neighbours(y, z, k=4).local(x), slow_local(x, y, z, 4))


def test_near_steps_are_no_neighbours() -> None:
    """A slow series: its neighbours in time tell nothing that a Theiler window would not take away."""
    x = np.cumsum(np.random.default_rng(4).normal(size=(500, 2)), axis=0)
    none = np.zeros((500, 0))
    apart = Neighbours(x[:, 1:], none, k=5, theiler=40).estimate(x[:, :1])
    assert Neighbours(x[:, 1:], none, k=5).estimate(x[:, :1]) > apart + 0.3
    with pytest.raises(CausalityError):
        Neighbours(x[:50, 1:], none[:50], k=5, theiler=40)


def test_gaussian_closed_form() -> None:
    """I(X; Y | Z) = -ln(1 - r^2) / 2 with r the partial correlation; mean of 12 samples within 2.5 of its errors."""
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(1500, 1))
        x = 0.7 * z + rng.normal(size=(1500, 1))
        y = 0.5 * x + z + rng.normal(size=(1500, 1))
        found.append(Neighbours(y, z).estimate(x))
    r2 = 0.25 / 1.25
    assert abs(np.mean(found) + 0.5 * math.log(1 - r2)) < 2.5 * np.std(found) / math.sqrt(12) + 0.002


def test_gaussian_transfer_entropy_is_half_the_granger_log_ratio() -> None:
    """Barnett, Barrett and Seth (2009): y(t) = 0.4 y(t-1) + 0.5 x(t-1) + e; within the standard error on the sample."""
    differences, errors = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, e = rng.normal(size=2001), rng.normal(size=2001)
        y = np.zeros(2001)
        for t in range(1, 2001):
            y[t] = 0.4 * y[t - 1] + 0.5 * x[t - 1] + e[t]
        fit = granger(Lagged.of(np.stack([y, x], axis=1), np.arange(2001), 1), 0, 1, [], 1, 1, order=1)
        assert fit is not None
        scaled = [a / a.std() for a in (y, x)]
        local = Neighbours(scaled[0][1:, None], scaled[0][:-1, None]).local(scaled[1][:-1, None])
        differences.append(float(local.mean()) - fit.answer.gain / 2)
        errors.append(float(local.std()) / math.sqrt(2000))
    assert abs(differences[0]) < errors[0]
    assert abs(np.mean(differences)) < np.mean(errors) / math.sqrt(8) + 0.002
    assert np.mean(np.abs(differences) < 2 * np.array(errors)) > 0.8
