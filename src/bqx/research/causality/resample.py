"""Stationary-bootstrap p-values of many questions at once, on the same resamples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.market.sim_math import kernel
from bqx.research.bootstrap import stationary_indices
from bqx.research.causality.hac import bandwidth, long_run

F8 = NDArray[np.float64]
I2 = NDArray[np.int16]
DRAWS = 999
CHUNK = 64


@kernel
def _count(out: I2, block: float, seed: int, first: int) -> None:
    """How often each row is drawn, out (draws, n)."""
    draws, n = out.shape
    for b in range(draws):
        rows = stationary_indices(n, block, seed, first + b)
        for i in range(n):
            out[b, rows[i]] += 1


def counts(n: int, draws: int, seed: int) -> I2:
    """Times each of n rows is in each resample; geometric blocks one longer than the HAC window on average."""
    out = np.zeros((draws, n), dtype=np.int16)
    _count(out, bandwidth(n) + 1.0, seed, 0)
    return out


def bootstrap_p(scores: list[F8], drawn: I2) -> F8:
    """p of each question from its scores under the null, (n, m): source lags given the rest, times the null's errors.

    With g the sum of scores and V its long-run variance, g' V^-1 g against (g* - g)' V^-1 (g* - g) of the resamples.
    """
    if not scores:
        return np.zeros(0)
    table = np.concatenate(scores, axis=1)
    sums = np.empty((len(drawn), table.shape[1]))
    for k in range(0, len(drawn), CHUNK):
        sums[k : k + CHUNK] = drawn[k : k + CHUNK].astype(np.float64) @ table
    out, at = np.empty(len(scores)), 0
    for j, s in enumerate(scores):
        g = s.sum(axis=0)
        inverse = np.linalg.inv(long_run(s - s.mean(axis=0), bandwidth(len(s))))
        moved = sums[:, at : at + s.shape[1]] - g
        larger = np.einsum("bi,ij,bj->b", moved, inverse, moved) >= float(g @ inverse @ g)
        out[j] = (1.0 + larger.sum()) / (1.0 + len(drawn))
        at += s.shape[1]
    return out
