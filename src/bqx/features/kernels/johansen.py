"""The cointegrating combination of several levels, estimated anew at fixed bars (Johansen 1991).

dx(t) = A (b'x(t-1) + c) + G1 dx(t-1) + G2 dx(t-2) + noise, the constant inside the relation. Sums of products slide
along a segment, started at its first bar from a whole window; additions carry their rounding error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.linear import SWEEPS, cholesky, forward, generalized

F8 = NDArray[np.float64]

LAGS = 2
"""Lagged differences."""
REACH = LAGS + 1
"""Levels before its own that an observation holds."""


@kernel
def regressors(x: F8, r: int, shift: F8, z: F8) -> bool:
    """Row r of the ring `x` (rows, k) as one observation: dx(r), dx(r-1), dx(r-2), x(r-1) - shift, 1 into `z`, of
    k (LAGS + 2) + 1 numbers. False where a level is missing."""
    cap, k = x.shape
    total = 0.0
    for lag in range(LAGS + 1):
        now, before = (r - lag) % cap, (r - lag - 1) % cap
        for i in range(k):
            z[lag * k + i] = x[now, i] - x[before, i]
            total += z[lag * k + i]
    for i in range(k):
        z[(LAGS + 1) * k + i] = x[(r - 1) % cap, i] - shift[i]
    z[(LAGS + 2) * k] = 1.0
    return bool(total == total)


@kernel
def take(z: F8, sign: float, total: F8, error: F8) -> None:
    """Products of `z` in (sign 1) or out (-1): lower triangles of the sums and of their rounding errors."""
    for i in range(len(z)):
        for k in range(i + 1):
            v = sign * (z[i] * z[k])
            s = total[i, k]
            t = s + v
            b = t - s
            error[i, k] += (s - (t - b)) + (v - b)
            total[i, k] = t


@kernel
def first_vector(total: F8, error: F8, k: int, vector: F8) -> None:
    """Coefficients of the k levels and the constant from sums of products: the eigenvector of the largest root, of
    Euclidean length 1 over the levels, the first of them positive; NaN where the sums are singular."""
    m, w = len(total), LAGS * k
    q = 2 * k + 1
    whole = np.empty((m, m))
    for i in range(m):
        for j in range(i + 1):
            whole[i, j] = total[i, j] + error[i, j]
            whole[j, i] = whole[i, j]
    vector[:] = np.nan
    # what is left of dx(t) and of the levels, once the lagged differences have explained their part
    lagged, cross = whole[k : k + w, k : k + w].copy(), np.empty((w, q))
    rest = np.empty((q, q))
    for i in range(q):
        a = i if i < k else i + w
        for j in range(w):
            cross[j, i] = whole[a, k + j]
        for j in range(q):
            rest[i, j] = whole[a, j if j < k else j + w]
    if not cholesky(lagged):
        return
    forward(lagged, cross)
    for i in range(q):
        for j in range(q):
            for n in range(w):
                rest[i, j] -= cross[n, i] * cross[n, j]
    change, both, level = rest[:k, :k].copy(), rest[:k, k:].copy(), rest[k:, k:].copy()
    if not cholesky(change):
        return
    forward(change, both)
    roots, vectors = np.zeros((k + 1, k + 1)), np.empty((k + 1, k + 1))
    for i in range(k + 1):
        for j in range(k + 1):
            for n in range(k):
                roots[i, j] += both[n, i] * both[n, j]
    if not generalized(roots, level, vectors, SWEEPS):
        return
    square = 0.0
    for i in range(k):
        square += vectors[i, 0] * vectors[i, 0]
    scale = np.sqrt(square) if vectors[0, 0] >= 0.0 else -np.sqrt(square)
    for i in range(k + 1):
        vector[i] = vectors[i, 0] / scale


@kernel
def _start(x: F8, first: int, r: int, shift: F8) -> int:
    """Means of rows first .. r without a hole; returns their number."""
    count = 0
    shift[:] = 0.0
    for t in range(first, r + 1):
        if _whole(x, t):
            count += 1
            for i in range(x.shape[1]):
                shift[i] += x[t, i]
    for i in range(x.shape[1]):
        shift[i] = shift[i] / count if count else 0.0
    return count


@kernel
def _whole(x: F8, t: int) -> bool:
    total = 0.0
    for i in range(x.shape[1]):
        total += x[t, i]
    return bool(total == total)


@kernel
def relation(x: F8, skip: int, window: int, need: int, every: int, out: F8) -> None:
    """out (rows - skip,) = b'x + c for the rows of `x` (rows, k) from `skip` on, the first of a segment: b and c from
    the last `window` levels at each `every`-th of them, in force until the next. NaN where a level is, where fewer than
    `need` of these levels are whole, and where they determine nothing."""
    k = x.shape[1]
    m = k * (LAGS + 2) + 1
    z, vector, shift = np.empty(m), np.full(k + 1, np.nan), np.empty(k)
    total, error = np.zeros((m, m)), np.zeros((m, m))
    count = 0
    for r in range(skip, len(x)):
        first = max(0, r - window + 1)
        if r == skip:
            count = _start(x, first, r, shift)
            for t in range(first + REACH, r + 1):
                if regressors(x, t, shift, z):
                    take(z, 1.0, total, error)
        else:
            old = r - window
            if old >= 0:
                count -= 1 if _whole(x, old) else 0
                if regressors(x, old + REACH, shift, z):
                    take(z, -1.0, total, error)
            count += 1 if _whole(x, r) else 0
            if r >= first + REACH and regressors(x, r, shift, z):
                take(z, 1.0, total, error)
        if (r - skip) % every == 0:
            if count >= need:
                first_vector(total, error, k, vector)
            else:
                vector[:] = np.nan
        value = vector[k]
        for i in range(k):
            value += vector[i] * (x[r, i] - shift[i])
        out[r - skip] = value
