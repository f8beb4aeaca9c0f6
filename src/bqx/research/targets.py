"""Labels: the oriented momentum of the next h bars in units of today's volatility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import UsageError

F8 = NDArray[np.float64]
HORIZONS = (15, 30, 45, 60, 75)


def targets(M: Mapping[int, F8], sigma: F8, seg_id: NDArray[np.int32], horizons: Sequence[int] = HORIZONS) -> F8:
    """Y_h(t) = M_h(t + h) / sigma(t), shape (n, pairs, horizons), NaN for NULL.

    Parameters
    ----------
    M : for each horizon, M_h on consecutive open minutes, shape (n, pairs), bps. The window equals the horizon, so
        the label uses returns of (t, t + h] only, and a random walk forecasts 0.
    sigma : EWMA deviation through t - 1, shape (n, pairs), bps.
    seg_id : segment of each row. A label that would cross a closure is NULL, as is one whose M or sigma is,
        or whose sigma is 0.

    >>> M = {1: np.array([[np.nan], [2.0], [3.0], [4.0]])}
    >>> targets(M, np.full((4, 1), 2.0), np.array([0, 0, 1, 1], np.int32), [1])[:, 0, 0]
    array([ 1., nan,  2., nan])
    """
    n, p = sigma.shape
    out = np.full((n, p, len(horizons)), np.nan)
    scale = np.where(sigma > 0, sigma, np.nan)
    for k, h in enumerate(horizons):
        if h not in M or M[h].shape != sigma.shape:
            raise UsageError(f"targets need M_{h} of shape {sigma.shape}", fix="give M for every horizon")
        if n > h:
            same = (seg_id[h:] == seg_id[:-h])[:, None]
            out[:-h, :, k] = np.where(same, M[h][h:] / scale[:-h], np.nan)
    return out
