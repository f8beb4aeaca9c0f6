"""Has a window of days another distribution than the reference days? By the bootstrap's own measure, not by a rule.

PSI or KL of one day exceed the usual 0.1 without any drift, every day for features of 240 bars and some days for
those of 60: 1,440 minutes are worth a few dozen rows. Here windows of several days are compared, every threshold comes
from resamples of the reference's days in blocks, and what raises an alarm is a whole domain, whose law is resampled
jointly. Sixty days know little of the far tail, so an alarm asks for a score of 4.5 deviations, not for a share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import MonitorInputError
from bqx.research.bootstrap import block_length, stationary_indices
from bqx.research.causality.fdr import benjamini_yekutieli
from bqx.serve.monitor.histograms import psi, shares

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
FEWEST = 30
"""Trade days of reference."""
TINY = 1e-12
CHUNK = 256
"""Features whose resamples are in memory at once."""


@dataclass(frozen=True)
class Calibrated:
    """What windows of `window` days look like without drift.

    mean, deviation : of the PSI of each feature (k,), of which p-values are made. log_mean, log_deviation : of its
    logarithm, whose law has no long tail. domains : name -> draws (B, 2) of :func:`statistics`. members : name ->
    feature numbers. pooled : reference counts (k, bins).
    """

    window: int
    mean: F8
    deviation: F8
    log_mean: F8
    log_deviation: F8
    domains: dict[str, F8]
    members: dict[str, I8]
    pooled: F8


@dataclass(frozen=True)
class DomainDrift:
    """score : deviations by which the domain lies beyond its resamples, the larger of both statistics. p : share of
    resamples that lie as far, twice the smaller (Bonferroni).

    drifted : features with q <= 0.05 over all features of all domains, under any dependence (Benjamini and Yekutieli
    2001). worst : the feature farthest from its own law.
    """

    domain: str
    features: int
    score: float
    p: float
    drifted: tuple[int, ...]
    worst: int
    worst_psi: float


def statistics(z: F8) -> F8:
    """Standardised features (..., k) as one domain (..., 2): their mean, and the mean of the largest tenth.

    The first sees a domain that moves as a whole, the second a cluster in it. One column alone moves neither much.
    """
    top = max(1, z.shape[-1] // 10)
    return np.stack([z.mean(axis=-1), np.sort(z, axis=-1)[..., -top:].mean(axis=-1)], axis=-1)


def calibrate(counts: F8, domains: dict[str, I8], *, window: int = 5, draws: int = 499, seed: int = 0) -> Calibrated:
    """counts : (days, features, bins) of the reference, in order of time. domains : name -> feature numbers.

    Each draw resamples a window and a reference of the same days for all features at once (Politis and Romano 1994), so
    features keep their dependence. The mean block is that of the most persistent daily means, at least 2 days. Raises
    MonitorInputError for fewer than 30 days or three windows.
    """
    days, k, bins = counts.shape
    need = max(FEWEST, 3 * window)
    if days < need:
        raise MonitorInputError(
            f"a reference of {days} trade days for windows of {window}", fix=f"give at least {need}"
        )
    now, then = _weights(days, window, _block(counts), draws, seed)
    distance = np.empty((draws, k))
    for start in range(0, k, CHUNK):
        part = counts[:, start : start + CHUNK].reshape(days, -1)
        p, q = (shares((w @ part).reshape(draws, -1, bins)) for w in (now, then))
        distance[:, start : start + CHUNK] = psi(p, q)
    log = np.log(np.maximum(distance, TINY))
    log_mean, log_deviation = log.mean(axis=0), np.maximum(log.std(axis=0, ddof=1), 1e-6)
    z = (log - log_mean) / log_deviation
    law = {name: statistics(z[:, m]) for name, m in domains.items()}
    deviation = np.maximum(distance.std(axis=0, ddof=1), TINY)
    return Calibrated(window, distance.mean(axis=0), deviation, log_mean, log_deviation, law, dict(domains),
                      counts.sum(axis=0))  # fmt: skip


def judge(found: Calibrated, counts: F8, *, q: float = 0.05) -> tuple[list[DomainDrift], F8]:
    """Domains, and the p-value of each feature (k,). counts : (window, features, bins) of the latest days."""
    if counts.shape[0] != found.window or counts.shape[1:] != found.pooled.shape:
        raise MonitorInputError(f"counts of shape {counts.shape} for {found.window} days of {found.pooled.shape}")
    distance = psi(shares(counts.sum(axis=0)), shares(found.pooled))
    z = (np.log(np.maximum(distance, TINY)) - found.log_mean) / found.log_deviation
    p = gamma_tail(distance, found.mean, found.deviation)
    rates = benjamini_yekutieli(p)
    out = []
    for name, members in found.members.items():
        draws, value = found.domains[name], statistics(z[members])
        score = float(((value - draws.mean(axis=0)) / draws.std(axis=0, ddof=1)).max())
        share = (1 + (draws >= value).sum(axis=0)) / (1 + len(draws))
        worst = int(members[int(np.argmax(z[members]))])
        drifted = tuple(int(i) for i in members[rates[members] <= q])
        out.append(DomainDrift(name, len(members), score, min(1.0, 2.0 * float(share.min())), drifted, worst,
                               float(distance[worst])))  # fmt: skip
    return out, p


def gamma_tail(x: F8, mean: F8, deviation: F8) -> F8:
    """Upper tail of the gamma law with these two moments: sums of squares of normals, as PSI nearly is, follow it."""
    from scipy.special import gammaincc

    shape = np.maximum(mean, 1e-300) ** 2 / deviation**2
    scale = deviation**2 / np.maximum(mean, 1e-300)
    return np.asarray(np.clip(gammaincc(shape, np.maximum(x, 0.0) / scale), 0.0, 1.0))


def _block(counts: F8) -> float:
    """Mean block in days: the 90 % quantile of the features' own, of the mean bin of a day."""
    total = np.maximum(counts.sum(axis=2), 1.0)
    level = (counts * np.arange(counts.shape[2])).sum(axis=2) / total
    step = max(1, counts.shape[1] // 64)
    lengths = [block_length(np.ascontiguousarray(level[:, j]), 2.0) for j in range(0, counts.shape[1], step)]
    return float(min(np.quantile(lengths, 0.9), counts.shape[0] / 4))


def _weights(days: int, window: int, block: float, draws: int, seed: int) -> tuple[F8, F8]:
    """How often each day is in the window and in the reference of each draw, (draws, days)."""
    now, then = np.zeros((draws, days)), np.zeros((draws, days))
    for b in range(draws):
        now[b] = np.bincount(stationary_indices(days, block, seed, 2 * b)[:window], minlength=days)
        then[b] = np.bincount(stationary_indices(days, block, seed, 2 * b + 1), minlength=days)
    return now, then
