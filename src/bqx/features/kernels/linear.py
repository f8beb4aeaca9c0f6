"""Small dense linear algebra in a fixed order of operations: what LAPACK does, with the same bits everywhere.

Matrices are float64 (n, n), n up to some dozens. All functions are kernels, for use inside kernels; arguments are
overwritten where the docstring says so, and nothing is allocated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]

SWEEPS = 12
"""Sweeps of :func:`jacobi` that more than suffice up to 40 x 40: convergence is quadratic, and what is 0 is skipped."""

SINGULAR = 1e-13
"""A pivot of at most this share of its diagonal element is rounding: the matrix is singular."""


@kernel
def jacobi(a: F8, vectors: F8, sweeps: int) -> None:
    """Eigenvalues of the symmetric matrix `a` onto its diagonal, largest first, and unit eigenvectors into the columns
    of `vectors` (same shape), by cyclic rotations in row order (Jacobi 1846; Golub & Van Loan 2013, 8.5). `a` is
    overwritten, both triangles must be given. The largest component of a vector in absolute value, the first of
    equals, is positive."""
    n = len(a)
    for i in range(n):
        for k in range(n):
            vectors[i, k] = 1.0 if i == k else 0.0
    for _ in range(sweeps):
        for p in range(n - 1):
            for q in range(p + 1, n):
                if a[p, q] != 0.0:
                    _rotate(a, vectors, p, q)
    _sort(a, vectors)
    for k in range(n):
        _turn(vectors, k)


@kernel
def _rotate(a: F8, vectors: F8, p: int, q: int) -> None:
    """Make a[p, q] zero."""
    n, apq = len(a), a[p, q]
    theta = (a[q, q] - a[p, p]) / (2.0 * apq)
    t = 1.0 / (abs(theta) + np.sqrt(theta * theta + 1.0))
    t = t if theta >= 0.0 else -t
    c = 1.0 / np.sqrt(t * t + 1.0)
    s = t * c
    tau = s / (1.0 + c)
    a[p, p] -= t * apq
    a[q, q] += t * apq
    a[p, q], a[q, p] = 0.0, 0.0
    for k in range(n):
        if k != p and k != q:
            x, y = a[k, p], a[k, q]
            a[k, p] = x - s * (y + tau * x)
            a[k, q] = y + s * (x - tau * y)
            a[p, k], a[q, k] = a[k, p], a[k, q]
        x, y = vectors[k, p], vectors[k, q]
        vectors[k, p] = x - s * (y + tau * x)
        vectors[k, q] = y + s * (x - tau * y)


@kernel
def _sort(a: F8, vectors: F8) -> None:
    """Diagonal of `a` from the largest down, columns of `vectors` with it; equals keep their order."""
    n = len(a)
    for i in range(n - 1):
        best = i
        for k in range(i + 1, n):
            best = k if a[k, k] > a[best, best] else best
        for k in range(best, i, -1):  # by neighbours, so that equals keep their order
            a[k, k], a[k - 1, k - 1] = a[k - 1, k - 1], a[k, k]
            for m in range(n):
                vectors[m, k], vectors[m, k - 1] = vectors[m, k - 1], vectors[m, k]


@kernel
def _turn(vectors: F8, k: int) -> None:
    """Column k with its largest component positive."""
    top = 0
    for m in range(1, len(vectors)):
        top = m if abs(vectors[m, k]) > abs(vectors[top, k]) else top
    if vectors[top, k] < 0.0:
        for m in range(len(vectors)):
            vectors[m, k] = -vectors[m, k]


@kernel
def cholesky(a: F8) -> bool:
    """`a` = L L' for a symmetric positive definite matrix: L into the lower triangle of `a`, zeros above. False, with
    `a` spoiled, where a pivot is nothing beside its diagonal element (SINGULAR) or not a number."""
    n = len(a)
    for i in range(n):
        whole = a[i, i]
        for k in range(i + 1):
            total = a[i, k]
            for m in range(k):
                total -= a[i, m] * a[k, m]
            if k < i:
                a[i, k] = total / a[k, k]
            elif total > SINGULAR * whole:
                a[i, i] = np.sqrt(total)
            else:
                return False
    for i in range(n):
        for k in range(i + 1, n):
            a[i, k] = 0.0
    return True


@kernel
def forward(lower: F8, b: F8) -> None:
    """Columns of `b` (n, m) become L^-1 b."""
    n, m = b.shape
    for c in range(m):
        for i in range(n):
            total = b[i, c]
            for k in range(i):
                total -= lower[i, k] * b[k, c]
            b[i, c] = total / lower[i, i]


@kernel
def backward(lower: F8, b: F8) -> None:
    """Columns of `b` (n, m) become L'^-1 b."""
    n, m = b.shape
    for c in range(m):
        for i in range(n - 1, -1, -1):
            total = b[i, c]
            for k in range(i + 1, n):
                total -= lower[k, i] * b[k, c]
            b[i, c] = total / lower[i, i]


@kernel
def solve(lower: F8, b: F8) -> None:
    """Columns of `b` (n, m) become (L L')^-1 b."""
    forward(lower, b)
    backward(lower, b)


@kernel
def normal_matrix(x: F8, rows: int, means: F8, products: F8) -> int:
    """Means of the first `rows` rows of `x` (rows, variables) without a NaN, and sums of products of the distances from
    them; returns how many rows these are. The means are of values less the first such row, so that levels cost no
    digits."""
    k = x.shape[1]
    count, base = 0, -1
    for i in range(k):
        means[i] = 0.0
        for m in range(k):
            products[i, m] = 0.0
    for r in range(rows):
        if _whole(x, r):
            base = r if base < 0 else base
            count += 1
            for i in range(k):
                means[i] += x[r, i] - x[base, i]
    if count == 0:
        return 0
    for i in range(k):
        means[i] = means[i] / count + x[base, i]
    for r in range(rows):
        if _whole(x, r):
            for i in range(k):
                d = x[r, i] - means[i]
                for m in range(i + 1):
                    products[i, m] += d * (x[r, m] - means[m])
    for i in range(k):
        for m in range(i):
            products[m, i] = products[i, m]
    return count


@kernel
def _whole(x: F8, r: int) -> bool:
    holes = 0
    for i in range(x.shape[1]):
        holes += 1 if x[r, i] != x[r, i] else 0
    return holes == 0


@kernel
def least_squares(x: F8, rows: int, means: F8, products: F8, slopes: F8) -> int:
    """Least squares of the last column of `x` (rows, k + 1) on the others and a constant, over the first `rows` rows
    without a NaN. slopes (k, 1) : the coefficients; the constant is means[k] - sum slopes means[:k]. means (k + 1,)
    and products (k + 1, k + 1) are work space. Returns the number of rows used, 0 where they determine no slopes."""
    k = len(slopes)
    count = normal_matrix(x, rows, means, products)
    for i in range(k):
        slopes[i, 0] = products[i, k]
    if count <= k + 1 or not cholesky(products[:k, :k]):
        return 0
    solve(products[:k, :k], slopes)
    return count


@kernel
def generalized(a: F8, b: F8, vectors: F8, sweeps: int) -> bool:
    """Roots and vectors of a v = lambda b v, `a` symmetric, `b` symmetric positive definite: roots onto the diagonal of
    `a`, largest first, vectors with v' b v = 1 into the columns of `vectors`, their largest component positive. Both
    matrices are overwritten. False where `b` is singular."""
    n = len(a)
    if not cholesky(b):
        return False
    forward(b, a)  # L^-1 a
    for i in range(n):
        for k in range(i):
            a[i, k], a[k, i] = a[k, i], a[i, k]
    forward(b, a)  # L^-1 (L^-1 a)'
    for i in range(n):
        for k in range(i):
            a[i, k] = 0.5 * (a[i, k] + a[k, i])
            a[k, i] = a[i, k]
    jacobi(a, vectors, sweeps)
    backward(b, vectors)
    for k in range(n):
        _turn(vectors, k)
    return True
