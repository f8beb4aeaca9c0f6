"""Is the best of many settings better than not trading? White's (2000) reality check as mended by Hansen (2005)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.research.bootstrap import block_length, resampled_sums

F8 = NDArray[np.float64]
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Superior:
    """p-values that no setting beats the benchmark. consistent is Hansen's; upper is White's reality check;
    lower assumes that all settings at least match the benchmark."""

    lower: float
    consistent: float
    upper: float
    best: int
    settings: int
    block: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def superior(
    excess: F8, *, block: float | None = None, draws: int = DRAWS, seed: int = 0, studentised: bool = True
) -> Superior:
    """Of profits over the benchmark (periods, settings); settings that never differ from it are left out.

    studentised : compare t-values, as Hansen advises; False compares means, as White did and arch does.
    Stationary bootstrap, the same draws for all settings; block by the longest of their automatic lengths unless given.
    CheckError below 20 periods or when no setting ever trades.
    """
    t = len(excess)
    alive = np.flatnonzero(excess.std(axis=0) > 0.0)
    if t < 20 or not len(alive):
        raise CheckError(f"no test of {excess.shape[1]} settings over {t} periods", fix="20 periods, one that trades")
    x = np.ascontiguousarray(excess[:, alive])
    length = max(block_length(x[:, k]) for k in range(x.shape[1])) if block is None else block
    mean = x.mean(axis=0)
    scale = np.sqrt(_variance(x, length))
    t_values = math.sqrt(t) * mean / scale
    unit = scale if studentised else np.ones_like(scale)
    z = math.sqrt(t) * mean / unit
    statistic = max(float(z.max()), 0.0)
    drawn = resampled_sums(x, length, draws, seed) / t
    if statistic == 0.0:  # none is ahead, so nothing speaks for any; draws of 0 must not count as surprises
        return Superior(1.0, 1.0, 1.0, int(alive[z.argmax()]), x.shape[1], length)
    threshold = -math.sqrt(2.0 * math.log(math.log(t)))
    centres = (np.maximum(mean, 0.0), np.where(t_values >= threshold, mean, 0.0), mean)
    p = [float((np.maximum((math.sqrt(t) * (drawn - c) / unit).max(axis=1), 0.0) > statistic).mean()) for c in centres]
    return Superior(p[0], p[1], p[2], int(alive[z.argmax()]), x.shape[1], length)


def _variance(x: F8, block: float) -> F8:
    """Variance of sqrt(n) times the mean under the stationary bootstrap (Politis and Romano 1994, lemma 1)."""
    n = len(x)
    e = x - x.mean(axis=0)
    keep = 1.0 - 1.0 / block
    total = (e * e).mean(axis=0)
    for k in range(1, n):
        weight = (1.0 - k / n) * keep**k + (k / n) * keep ** (n - k)
        if weight > 1e-12:
            total = total + 2.0 * weight * (e[k:] * e[:-k]).sum(axis=0) / n
    return np.asarray(np.maximum(total, 1e-300))
