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

    Politis and White (2004) with the correction of Patton, Politis and White (2009): flat-top lag window of twice the
    first lag of a run of insignificant autocorrelations; capped at ceil(min(3 sqrt n, n / 3)). Equals arch's.
    """
    n = len(x)
    if n < 20:
        raise CheckError(f"a block length needs 20 values, there are {n}")
    e = x - x.mean()
    if not e.any():
        return max(floor, 1.0)
    run = max(5, int(np.log10(n)))
    longest = int(np.ceil(np.sqrt(n))) + run
    small = np.array([abs(_correlation(e, k)) for k in range(longest + 1)]) < 2.0 * np.sqrt(np.log10(n) / n)
    first = next((k for k in range(1, longest - run + 1) if small[k : k + run].all()), None)
    lags = longest if first is None else min(2 * first, longest)
    cov = np.array([float(e[k:] @ e[: n - k]) / n for k in range(lags + 1)])
    k = np.arange(1, lags + 1)
    weight = np.minimum(1.0, 2.0 * (1.0 - k / lags))
    slope = 2.0 * float((weight * k * cov[1:]).sum())
    spectrum = float(cov[0]) + 2.0 * float((weight * cov[1:]).sum())
    cap = float(np.ceil(min(3.0 * np.sqrt(n), n / 3.0)))
    best = (slope * slope / (spectrum * spectrum)) ** (1.0 / 3.0) * n ** (1.0 / 3.0) if spectrum else cap
    return max(min(best, cap), floor, 1.0)


def _correlation(e: F8, lag: int) -> float:
    """Correlation of e with its lag; as in arch, the sums of squares leave out lag + 1 values."""
    size = np.sqrt(float(e[lag + 1 :] @ e[lag + 1 :]) * float(e[: -(lag + 1)] @ e[: -(lag + 1)]))
    return float(e[lag:] @ e[: len(e) - lag]) / size if size > 0 else 0.0


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
