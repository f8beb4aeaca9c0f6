"""GARCH of a pair's changes, estimated once a week from the 20 days before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.fits import Fit, fitted
from bqx.features.kernels.garch import ALPHA, BETA, PARAMETERS, fit_garch
from bqx.features.refresh import latest_points
from bqx.features.streams import PRICE, Streams
from bqx.features.support import Fitted, needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

BARS = 28_800
"""20 trade days."""


def _make(streams: Streams, row: int, lanes: NDArray[np.int64]) -> F8:
    out = np.full((len(lanes), PARAMETERS), np.nan)
    for k, lane in enumerate(lanes.tolist()):
        x = np.ascontiguousarray(streams.rate_change[max(0, row - BARS) : row, lane])
        if int((~np.isnan(x)).sum()) >= needed(BARS):
            fit_garch(x, out[k])
    return out


GARCH = Fit(
    name="garch_rate",
    dataset="volatility_surface_rate",
    parameters=("omega", "alpha", "beta", "variance"),
    every="week",
    sees=Fitted(PRICE, BARS, "week"),
    make=_make,
    summary="GARCH(1,1) of one-minute changes over 20 days by quasi-likelihood, its long-run variance their mean "
    "square; variance of the next change",
)


def in_force(streams: Streams, fit: Fit) -> tuple[F8, I4]:
    """Estimates (fits, pairs, parameters) and which of them rule at each row; -1 where the loaded bars do not hold all
    that a fit could see."""
    panel = streams.panel
    latest = latest_points(panel.grid, fit.every, streams.calendar)
    whole = bool((panel.first >= panel.grid.minute[0]).all()) if len(panel.grid) else False
    points = [row for row in np.unique(latest).tolist() if row >= (0 if whole else BARS)]
    which = np.full(len(latest), -1, dtype=np.int32)
    for k, row in enumerate(points):
        which[latest == row] = k
    found = [fitted(fit, streams, row) for row in points]
    return np.array(found).reshape(len(points), len(panel.pairs), len(fit.parameters)), which


def persistence(values: F8, which: I4) -> F8:
    """alpha + beta of the estimates in force. Shape (n, pairs)."""
    out = np.full((len(which), values.shape[1]), np.nan)
    for k in np.unique(which[which >= 0]).tolist():
        out[which == k] = values[k, :, ALPHA] + values[k, :, BETA]
    return out
