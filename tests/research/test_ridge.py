"""Ridge equals scikit-learn's; moments equal the rows they stand for; scaling is by training rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bqx.research.ridge import PENALTIES, Moments, Scaler, choose_penalties, clip_targets, solve


def rows(seed: int = 0, n: int = 900, k: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, k)) @ rng.normal(size=(k, k))
    y = Z[:, 0] * 0.1 + rng.normal(size=n)
    block = np.sort(rng.integers(0, 30, n))
    signs = np.sign(rng.normal(size=(30, 5)))
    signs[:, 0] = 1.0
    return Z, y, block, signs


def test_solution_equals_scikit_learn_for_every_target() -> None:
    Z, y, block, signs = rows()
    penalty = np.array([0.0001, 0.1, 1.0, 10.0, 100.0])
    ours = solve(Moments.of(Z, y, block, signs), penalty)
    for j, p in enumerate(penalty):
        theirs = Ridge(alpha=p * len(Z), fit_intercept=False).fit(Z, y * signs[block, j]).coef_
        np.testing.assert_allclose(ours[:, j], theirs, rtol=1e-8, atol=1e-12)


def test_errors_equal_the_residuals() -> None:
    Z, y, block, signs = rows(1)
    m = Moments.of(Z, y, block, signs)
    coef = np.random.default_rng(2).normal(size=(Z.shape[1], 5))
    want = ((y[:, None] * signs[block] - Z @ coef) ** 2).sum(axis=0)
    np.testing.assert_allclose(m.errors(coef), want, rtol=1e-9)


def test_penalty_is_the_best_of_the_list_on_other_rows() -> None:
    (Z, y, block, signs), (Zv, yv, bv, _) = rows(3), rows(4)
    chosen = choose_penalties(Moments.of(Z, y, block, signs), Moments.of(Zv, yv, bv, signs))
    for j in range(5):
        errors = []
        for p in PENALTIES:
            model = Ridge(alpha=p * len(Z), fit_intercept=False).fit(Z, y * signs[block, j])
            errors.append(((yv * signs[bv, j] - model.predict(Zv)) ** 2).sum())
        assert chosen[j] == PENALTIES[int(np.argmin(errors))]


def test_scaler_clips_by_quartiles_and_standardises_each_pair() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5001, 2, 3)) * np.array([[1.0, 10.0, 1.0], [5.0, 0.1, 1.0]]) + 3.0
    X[:, :, 2] = 1.0  # constant
    X[7, 0, 0], X[8, 0, 0] = 1e9, np.nan
    scaler = Scaler.fit(X)
    Z = scaler.transform(X)
    for p in range(2):
        for k in range(2):
            z = Z[:, p, k][np.isfinite(Z[:, p, k])]
            assert abs(z.mean()) < 1e-9 and z.std() == pytest.approx(1.0)
            x = X[:, p, k][np.isfinite(X[:, p, k])]
            q1, q2, q3 = np.quantile(x, [0.25, 0.5, 0.75])
            assert scaler.high[p, k] == pytest.approx(q2 + 5 * (q3 - q1) / 1.349, rel=1e-2)
    assert np.isnan(Z[8, 0, 0]) and Z[7, 0, 0] < 6 and (Z[:, :, 2] == 0).all()


def test_training_labels_are_clipped_at_five_robust_sigmas() -> None:
    y = np.r_[np.random.default_rng(0).normal(size=9999), 500.0]
    assert np.abs(clip_targets(y)).max() == pytest.approx(5.0, rel=0.03)
    assert np.array_equal(clip_targets(y)[:50], y[:50])
