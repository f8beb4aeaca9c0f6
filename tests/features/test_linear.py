"""Eigenvalues, factors and fits against scipy, numpy and 50 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from bqx.features.kernels.linear import (
    SWEEPS,
    backward,
    cholesky,
    forward,
    generalized,
    jacobi,
    least_squares,
    normal_matrix,
    solve,
)

F8 = NDArray[np.float64]


def symmetric(n: int, seed: int) -> F8:
    x = np.random.default_rng(seed).standard_normal((n, n))
    return np.asarray(x + x.T)


def definite(n: int, seed: int, spread: float = 1.0) -> F8:
    x = np.random.default_rng(seed).standard_normal((3 * n, n)) * np.logspace(0.0, spread, n)
    return np.asarray(x.T @ x)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 28])
def test_eigenvalues(n: int) -> None:
    for seed in range(5):
        a = symmetric(n, seed)
        work, vectors = a.copy(), np.empty((n, n))
        jacobi(work, vectors, SWEEPS)
        values = np.diag(work)
        np.testing.assert_allclose(values, np.linalg.eigvalsh(a)[::-1], atol=1e-13 * n, rtol=0)
        np.testing.assert_allclose(a @ vectors, vectors * values, atol=1e-13 * n, rtol=0)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), atol=1e-14 * n, rtol=0)
        assert (np.diff(values) <= 0).all()
        top = np.abs(vectors).argmax(axis=0)
        assert (vectors[top, np.arange(n)] > 0).all()
        assert not (work - np.diag(values)).any(), "the sweeps suffice: what is left is exactly 0"


def test_small_eigenvalues_of_a_definite_matrix_keep_their_digits() -> None:
    """Scaled columns: values from 1 to 1e12, all right to 1e-13 of themselves (LAPACK's dsyev loses the small ones)."""
    a = definite(8, 7, 6.0)
    work, vectors = a.copy(), np.empty((8, 8))
    jacobi(work, vectors, SWEEPS)
    with mpmath.workdps(50):
        exact = sorted((float(v) for v in mpmath.eigsy(mpmath.matrix(a.tolist()), eigvals_only=True)), reverse=True)
    np.testing.assert_allclose(np.diag(work), exact, rtol=1e-13)


def test_equal_eigenvalues_keep_the_order_of_rows() -> None:
    work, vectors = np.diag([1.0, 3.0, 1.0, 3.0]), np.empty((4, 4))
    jacobi(work, vectors, SWEEPS)
    assert np.diag(work).tolist() == [3.0, 3.0, 1.0, 1.0]
    assert vectors.argmax(axis=0).tolist() == [1, 3, 0, 2]


def test_factor_and_solutions() -> None:
    for n, seed in ((1, 0), (5, 1), (28, 2)):
        a = definite(n, seed)
        b = np.random.default_rng(seed).standard_normal((n, 3))
        lower = a.copy()
        assert cholesky(lower)
        np.testing.assert_allclose(lower, np.linalg.cholesky(a), rtol=1e-12, atol=1e-13)
        assert not np.triu(lower, 1).any()
        for function, matrix in ((forward, lower), (backward, lower.T), (solve, a)):
            x = b.copy()
            function(lower, x)
            np.testing.assert_allclose(x, np.linalg.solve(matrix, b), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "a", [[[1.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]], [[0.0]], [[np.nan]], [[1.0, np.nan], [np.nan, 1.0]]]
)
def test_what_has_no_factor(a: list[list[float]]) -> None:
    assert not cholesky(np.array(a))


def test_means_and_products_skip_rows_with_holes() -> None:
    x = np.random.default_rng(3).standard_normal((500, 4)) + 1e6
    x[::7, 2] = np.nan
    means, products = np.empty(4), np.empty((4, 4))
    assert normal_matrix(x, 400, means, products) == int((~np.isnan(x[:400, 2])).sum())
    rows = x[:400][~np.isnan(x[:400, 2])]
    with mpmath.workdps(50):
        exact = [[mpmath.mpf(v) for v in row] for row in rows.tolist()]
        centre = [mpmath.fsum(row[i] for row in exact) / len(exact) for i in range(4)]
        want = [
            [mpmath.fsum((r[i] - centre[i]) * (r[k] - centre[k]) for r in exact) for k in range(4)] for i in range(4)
        ]
    np.testing.assert_allclose(means, [float(c) for c in centre], rtol=1e-15)
    np.testing.assert_allclose(products, [[float(v) for v in row] for row in want], rtol=1e-9, atol=1e-6)
    assert normal_matrix(np.full((5, 4), np.nan), 5, means, products) == 0


def test_least_squares_of_levels() -> None:
    """Levels far from 0, nearly collinear: against 50 digits."""
    rng = np.random.default_rng(4)
    base = np.cumsum(rng.standard_normal(600)) + 1e4
    other = base + 0.01 * rng.standard_normal(600)
    y = 0.7 * base - 0.2 * other + 5.0 + 0.1 * rng.standard_normal(600)
    x = np.column_stack([base, other, y])
    means, products, slopes = np.empty(3), np.empty((3, 3)), np.empty((2, 1))
    assert least_squares(x, 600, means, products, slopes) == 600
    with mpmath.workdps(50):
        design = mpmath.matrix([[1, *row] for row in x[:, :2].tolist()])
        exact = mpmath.lu_solve(design.T * design, design.T * mpmath.matrix(y.tolist()))
        want = [float(exact[1]), float(exact[2])]
        constant = float(exact[0])
    # squares of a condition number of 3,000 cost 7 of 16 digits
    np.testing.assert_allclose(slopes[:, 0], want, rtol=0, atol=1e-8)
    assert means[2] - slopes[0, 0] * means[0] - slopes[1, 0] * means[1] == pytest.approx(constant, rel=1e-7)
    x[:, 1] = 2.0 * x[:, 0]
    assert least_squares(x, 600, means, products, slopes) == 0, "collinear"
    assert least_squares(x, 3, means, products, slopes) == 0, "too few rows"


def test_generalized_roots() -> None:
    for n, seed in ((2, 5), (8, 6)):
        a, b = symmetric(n, seed), definite(n, seed, 2.0)
        values, vectors = scipy.linalg.eigh(a, b)
        roots, left, mine = a.copy(), b.copy(), np.empty((n, n))
        assert generalized(roots, left, mine, SWEEPS)
        np.testing.assert_allclose(np.diag(roots), values[::-1], rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(mine.T @ b @ mine, np.eye(n), atol=1e-12)
        np.testing.assert_allclose(np.abs(mine), np.abs(vectors[:, ::-1]), rtol=1e-8, atol=1e-10)
    assert not generalized(np.eye(2), np.ones((2, 2)), np.empty((2, 2)), SWEEPS)
