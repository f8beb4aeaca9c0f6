"""Stationary bootstrap in time blocks common to all pairs, with an automatic block length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.market.sim_math import bits, high_half, kernel, low_half, stream_key

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


def block_length(x: F8, floor: float = 1.0) -> float:
    """Expected block length for the stationary bootstrap of the mean of x (n,), at least `floor`.

    Politis and White (2004) with the correction of Patton, Politis and White (2009): flat-top lag window, lag
    order by the first run of insignificant autocorrelations; capped at ceil(min(3 sqrt n, n / 3)).
    """
    n = len(x)
    if n < 20:
        raise CheckError(f"a block length needs 20 values, there are {n}")
    e = x - x.mean()
    run = max(5, int(np.log10(n)))
    longest = int(np.ceil(np.sqrt(n))) + run
    cap = float(np.ceil(min(3.0 * np.sqrt(n), n / 3.0)))
    longest = min(longest, n - 1)
    cov = np.array([float(e[k:] @ e[: n - k]) / n for k in range(longest + 1)])
    if cov[0] <= 0.0:
        return max(floor, 1.0)
    rho = np.array([_correlation(e, k) for k in range(1, longest + 1)])
    small = np.abs(rho) < 2.0 * np.sqrt(np.log10(n) / n)
    m = next((k for k in range(longest - run + 1) if small[k : k + run].all()), None)
    if m is None:
        large = np.flatnonzero(~small)
        order = longest if not len(large) else int(large.max()) + 1
    else:
        order = m
    lags = min(2 * max(order, 1), longest)
    k = np.arange(-lags, lags + 1)
    weight = np.minimum(1.0, 2.0 * (1.0 - np.abs(k) / lags))
    r = cov[np.abs(k)]
    g, spectrum = float((weight * np.abs(k) * r).sum()), float((weight * r).sum())
    if spectrum == 0.0:
        return max(cap, floor)
    best = float((g * g / (spectrum * spectrum)) ** (1.0 / 3.0) * n ** (1.0 / 3.0))
    return max(min(best, cap), floor, 1.0)


def _correlation(e: F8, lag: int) -> float:
    """Correlation of e with its lag, each part by its own size."""
    head, tail = e[: len(e) - lag], e[lag:]
    size = np.sqrt(float(head @ head) * float(tail @ tail))
    return float(tail @ head) / size if size > 0 else 0.0


@kernel
def stationary_indices(n: int, block: float, seed: int, draw: int) -> I8:
    """Row numbers of one resample (Politis and Romano 1994): geometric blocks of mean `block`, wrapped around."""
    key = stream_key(seed, draw)
    out = np.empty(n, np.int64)
    at = np.int64(0)
    for i in range(n):
        word = bits(key, i)
        if i == 0 or high_half(word) * block < 1.0:
            at = np.int64(low_half(word) * n)
        else:
            at += 1
            if at == n:
                at = np.int64(0)
        out[i] = at
    return out


@kernel
def resampled_sums(table: F8, block: float, draws: int, seed: int) -> F8:
    """Column sums of `draws` resamples of the rows of `table` (n, k); shape (draws, k)."""
    n, k = table.shape
    out = np.zeros((draws, k))
    for b in range(draws):
        rows = stationary_indices(n, block, seed, b)
        for i in range(n):
            for j in range(k):
                out[b, j] += table[rows[i], j]
    return out
