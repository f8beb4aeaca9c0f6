"""The largest eigenvalue of a small symmetric matrix, without its vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]

HALVINGS = 60
"""Bisections: an interval of 2 n becomes smaller than the last digit of a number of the size of 1."""


@kernel
def largest_eigenvalue(a: F8, n: int, work: F8) -> float:
    """Of the leading n x n part of symmetric `a`, which is overwritten: Householder's tridiagonal form, then bisection
    on the signs of its pivots (Golub & Van Loan 2013, 8.3 and 8.4). work : (3, n) or more columns."""
    for k in range(n - 2):
        reflect(a, n, k, work)
    low, high = a[0, 0], a[0, 0]
    for i in range(n):
        left = abs(a[i, i - 1]) if i > 0 else 0.0
        right = abs(a[i + 1, i]) if i < n - 1 else 0.0
        low = max(low, a[i, i])
        high = max(high, a[i, i] + left + right)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if _all_below(a, n, middle):
            high = middle
        else:
            low = middle
    middle = 0.5 * (low + high)
    return float(middle)


@kernel
def reflect(a: F8, n: int, k: int, work: F8) -> None:
    """Make column k zero below its first subdiagonal element; the lower triangle is kept."""
    squares = 0.0
    for i in range(k + 2, n):
        squares += a[i, k] * a[i, k]
    if squares == 0.0:
        return
    head = a[k + 1, k]
    size = np.sqrt(head * head + squares)
    first = head + size if head >= 0.0 else head - size
    factor = 2.0 / (first * first + squares)
    for i in range(k + 1, n):
        work[0, i] = a[i, k] if i > k + 1 else first
        work[1, i] = 0.0
    for i in range(k + 1, n):
        v, total = work[0, i], a[i, i] * work[0, i]
        for m in range(k + 1, i):
            total += a[i, m] * work[0, m]
            work[1, m] += a[i, m] * v
        work[1, i] += total
    dot = 0.0
    for i in range(k + 1, n):
        work[1, i] *= factor
        dot += work[0, i] * work[1, i]
    dot *= 0.5 * factor
    for i in range(k + 1, n):
        work[1, i] -= dot * work[0, i]
    for i in range(k + 1, n):
        v, w = work[0, i], work[1, i]
        for m in range(k + 1, i + 1):
            a[i, m] -= v * work[1, m] + w * work[0, m]
    a[k + 1, k] = -size if head >= 0.0 else size


@kernel
def _all_below(a: F8, n: int, x: float) -> bool:
    """Whether all eigenvalues of the tridiagonal matrix in the lower triangle lie below x."""
    pivot = a[0, 0] - x
    for i in range(1, n):
        if pivot >= 0.0:
            return False
        pivot = a[i, i] - x - a[i, i - 1] * a[i, i - 1] / pivot
    return bool(pivot < 0.0)
