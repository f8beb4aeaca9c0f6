"""What one series says of the next value of another that its own past does not: linear, and in symbols.

Each row is worked out from its own window alone: nothing runs along that would have to be anchored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.linear import cholesky, normal_matrix
from bqx.features.kernels.mathfun import log_ratio

F8 = NDArray[np.float64]

LAGS = 2
"""Past values of either series."""
TERMS = 2 * LAGS
CODES = 27
"""Triples of symbols -1, 0, 1."""


def improvement(y: F8, x: F8, every: int, count: int, need: int) -> F8:
    """ln F of Granger's (1969) test that two past values of x, `every` rows apart, add nothing to a constant and two of
    y, on the `count` rows t, t - every, ... across closures; NaN below `need` of them with all five values, and where
    these determine no fit. Shape (n, pairs)."""
    out = np.empty(y.shape)
    _improvement(y, x, every, count, need, out)
    return out


@kernel
def improvement_row(
    y: F8, x: F8, r: int, every: int, count: int, need: int, table: F8, means: F8, products: F8, out: F8, row: int
) -> None:
    """The test that ends at row r of the rings into out[row]. table (count, TERMS + 1), means, products: work space.

    The last row of the Cholesky factor of all sums of products holds what each regressor adds after those before it.
    """
    cap = len(y)
    for j in range(y.shape[1]):
        for k in range(count):
            at = r - k * every
            for i in range(LAGS + 1):
                back = at - i * every
                there = back >= 0
                table[k, TERMS if i == 0 else i - 1] = y[back % cap, j] if there else np.nan
                if i > 0:
                    table[k, LAGS + i - 1] = x[back % cap, j] if there else np.nan
        n = normal_matrix(table, count, means, products)
        value = np.nan
        if n >= need and cholesky(products):
            added = 0.0
            for i in range(LAGS, TERMS):
                added += products[TERMS, i] * products[TERMS, i]
            left = products[TERMS, TERMS] * products[TERMS, TERMS]
            value = log_ratio(added / LAGS, left / (n - (TERMS + 1.0))) if added > 0.0 else np.nan
        out[row, j] = value


@kernel
def _improvement(y: F8, x: F8, every: int, count: int, need: int, out: F8) -> None:
    table = np.empty((count, TERMS + 1))
    means, products = np.empty(TERMS + 1), np.empty((TERMS + 1, TERMS + 1))
    for r in range(len(y)):
        improvement_row(y, x, r, every, count, need, table, means, products, out, r)


def transfer_entropy(codes: F8, window: int, need: int) -> F8:
    """Plug-in transfer entropy (Schreiber 2000), nat, of the last `window` rows across closures. codes : 9 a + 3 b + c
    with a the target's symbol now, b the source's and c the target's before, each 0, 1 or 2; NaN for none. NaN below
    `need` valid rows. Shape (n, pairs)."""
    out = np.empty(codes.shape)
    _transfer_entropy(codes, window, need, logs(window), out)
    return out


@kernel
def logs(most: int) -> F8:
    """ln k for k = 0 (0) .. most."""
    out = np.zeros(most + 1)
    for k in range(1, most + 1):
        out[k] = log_ratio(float(k), 1.0)
    return out


@kernel
def transfer_row(
    codes: F8, r: int, first: int, need: int, table: F8, counts: NDArray[np.int64], out: F8, row: int
) -> None:
    """Of rows first .. r of the ring into out[row]. counts (4, CODES) : of triples, of (a, c), of (b, c), of c."""
    cap = len(codes)
    for j in range(codes.shape[1]):
        for k in range(4):
            for i in range(CODES):
                counts[k, i] = 0
        n = 0
        at = first % cap
        for _ in range(first, r + 1):
            v = codes[at, j]
            if v == v:
                counts[0, int(v)] += 1
                n += 1
            at = at + 1 if at + 1 < cap else 0
        for i in range(CODES):
            a, b, c = i // 9, (i // 3) % 3, i % 3
            counts[1, 3 * a + c] += counts[0, i]
            counts[2, 3 * b + c] += counts[0, i]
            counts[3, c] += counts[0, i]
        total = 0.0
        for i in range(CODES):
            m = counts[0, i]
            a, b, c = i // 9, (i // 3) % 3, i % 3
            total += m * (
                ((table[m] + table[counts[3, c]]) - table[counts[1, 3 * a + c]]) - table[counts[2, 3 * b + c]]
            )
        value = total / n if n > 0 else np.nan
        value = value if value > 0.0 else 0.0
        out[row, j] = value if n >= need else np.nan


@kernel
def _transfer_entropy(codes: F8, window: int, need: int, table: F8, out: F8) -> None:
    counts = np.zeros((4, CODES), dtype=np.int64)
    for r in range(len(codes)):
        transfer_row(codes, r, max(r - window + 1, 0), need, table, counts, out, r)
