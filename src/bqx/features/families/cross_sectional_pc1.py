"""The first principal component of the panel: loadings of the previous trade day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.by_name import ByName
from bqx.features.fits import Fit, fitted
from bqx.features.groups import LEAST
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.linear import SWEEPS, jacobi
from bqx.features.kernels.pairwise import correlation_of
from bqx.features.panel_support import STALE, Recent
from bqx.features.refresh import latest_points
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import Everyone, Fitted, Lag, Support, needed

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

DAY = 1440
POSITIVE = "eurusd"
DOMAINS: tuple[Domain, ...] = ("rate", "bqx")

STEP: dict[Domain, Support] = {
    "rate": Recent(PRICE),
    "bqx": Recent(Lag(momentum_support(WINDOWS[0]), 1, "SEG")),
}
"""One-minute changes of y with a quote not older than two minutes."""


def changes(streams: Streams, domain: Domain, lanes: ByName) -> F8:
    """dy where :data:`STEP` is valid, lanes in the order of names."""
    change = lanes.sort(streams.stream(domain).change)
    return np.where(lanes.sort(streams.panel.fill_run) > STALE, np.nan, change)


@kernel
def first_component(x: F8, positive: int) -> F8:
    """Unit eigenvector of the largest eigenvalue of the correlation matrix of the columns of x, each pair of columns
    over the rows both have; the component `positive` is not negative."""
    p = x.shape[1]
    matrix, vectors = np.empty((p, p)), np.empty((p, p))
    for i in range(p):
        matrix[i, i] = 1.0
        for k in range(i + 1, p):
            c = correlation_of(x, i, k)
            c = c if c == c else 0.0
            matrix[i, k], matrix[k, i] = c, c
    jacobi(matrix, vectors, SWEEPS)
    sign = -1.0 if vectors[positive, 0] < 0.0 else 1.0
    out = np.empty(p)
    for i in range(p):
        out[i] = sign * vectors[i, 0]
    return out


def _loadings(streams: Streams, row: int, domain: Domain) -> F8:
    """Of the panel's pairs, NaN for those with too few changes on the day before `row`; shape (pairs, 1)."""
    pairs = streams.panel.pairs
    names = ByName(pairs)
    rows = changes(streams, domain, names)[max(0, row - DAY) : row]
    out = np.full((1, len(pairs)), np.nan)
    some = np.flatnonzero(_enough(rows))
    if len(some) >= LEAST:
        known = [names.names[k] for k in some]
        positive = known.index(POSITIVE) if POSITIVE in known else 0
        out[0, some] = first_component(np.ascontiguousarray(rows[:, some]), positive)
    return names.back(out).T.copy()


def _enough(rows: F8) -> NDArray[np.bool_]:
    """Lanes with enough values, not all of them equal."""
    valid = ~np.isnan(rows)
    low = np.where(valid, rows, np.inf).min(axis=0, initial=np.inf)
    high = np.where(valid, rows, -np.inf).max(axis=0, initial=-np.inf)
    return np.asarray((valid.sum(axis=0) >= needed(DAY)) & (low < high))


def _fit(domain: Domain) -> Fit:
    def make(streams: Streams, row: int, lanes: I8) -> F8:
        return _loadings(streams, row, domain)[lanes]

    return Fit(
        name=f"pc1_{domain}",
        dataset="cross_sectional_dual",
        parameters=("loading",),
        every="day",
        sees=Fitted(STEP[domain], DAY, "day"),
        make=make,
        everyone=True,
        summary=f"Loading on the first principal component of one-minute changes ({domain}) of all pairs on the "
        "previous trade day; unit vector, EURUSD positive",
    )


PC1: dict[Domain, Fit] = {domain: _fit(domain) for domain in DOMAINS}

LOADED: dict[Domain, tuple[Support, Support]] = {d: (PC1[d].sees, Everyone(PC1[d].sees, "panel")) for d in DOMAINS}
"""What a loading needs: the pair's own day, and that of enough pairs."""


def loadings(streams: Streams, domain: Domain) -> F8:
    """The loadings in force at each row; NaN where the day before is not wholly among the bars. Shape (n, pairs)."""
    panel, fit = streams.panel, PC1[domain]
    latest = latest_points(panel.grid, fit.every, streams.calendar)
    out = np.full(panel.shape, np.nan)
    whole = len(panel.grid) > 0 and bool((panel.first >= panel.grid.minute[0]).all())
    for row in np.unique(latest[latest >= 0]).tolist():
        # what is kept must be what all of the day says
        if whole or fit.earliest(int(panel.grid.minute[row]), streams.calendar) >= panel.grid.minute[0]:
            out[latest == row] = fitted(fit, streams, row)[:, 0]
    return out
