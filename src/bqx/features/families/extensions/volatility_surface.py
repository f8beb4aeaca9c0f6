"""volatility_surface: how realised volatility goes with its window, and GARCH; an extension.

What needs option quotes (smile, risk premium, term structure of implied volatility) is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Dataset
from bqx.features.families.extensions.volatility_surface_garch import GARCH, in_force, persistence
from bqx.features.families.extensions.volatility_surface_reference import reference
from bqx.features.kernels.garch import MOST, garch
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.kernels.squares import root_sum_of_squares
from bqx.features.refresh import point_before
from bqx.features.streams import PRICE, Streams
from bqx.features.support import All, Window, needed

F8 = NDArray[np.float64]

BARS = (15, 30, 60, 120, 240)
"""Each twice the one before, so that their logarithms are equally far apart."""
SLOPE, BEND = (-2.0, -1.0, 0.0, 1.0, 2.0), (2.0, -1.0, -2.0, -1.0, 2.0)
"""Polynomials orthogonal over the five windows, of squares 10 and 14."""
TWO = log_ratio(2.0, 1.0)

UNDEFINED = frozenset({"may_be_undefined"})
STILL = "NULL where quotes stood still for 15 bars"
FLAT = "NULL where quotes stood still for 20 days"
SEEN = All(tuple(Window(PRICE, w, "SEG") for w in BARS))
RV = "ln sqrt(mean of dy^2 over w bars), w = 15, 30, 60, 120, 240"
WEEKLY = All((PRICE, GARCH.sees))
HOW = "GARCH(1,1) of dy, estimated at the week's first minute from the 28800 bars before it"

COLUMNS = (
    Column("vs_slope", "–", f"slope on ln w, at the middle of the five, of the least-squares parabola through {RV}",
           SEEN, "SEG", tags=UNDEFINED, why_tagged=STILL),
    Column("vs_curv", "–", f"coefficient of (ln w)^2 of the least-squares parabola through {RV}", SEEN, "SEG",
           tags=UNDEFINED, why_tagged=STILL),
    Column("vs_garch_sigma", "bps", f"standard deviation expected of dy(t+1); {HOW}", WEEKLY, "XGAP",
           bounds=(0.0, np.inf), tags=UNDEFINED, why_tagged=FLAT, source="Bollerslev 1986; Engle & Mezrich 1996"),
    Column("vs_garch_persist", "0–1", f"alpha + beta; {HOW}", GARCH.sees, "XGAP", bounds=(0.0, MOST), tags=UNDEFINED,
           why_tagged=FLAT, source="Bollerslev 1986"),
)  # fmt: skip


def _surface(streams: Streams) -> dict[str, F8]:
    change, age = streams.rate_change, streams.panel.grid.seg_age
    one, two = np.zeros(change.shape), np.zeros(change.shape)
    for w, first, second in zip(BARS, SLOPE, BEND, strict=True):
        root = root_sum_of_squares(change, age, w, needed(w), False) / np.sqrt(float(w))
        y = logarithm(root)
        one += first * y
        two += second * y
    return {"vs_slope": one / (10.0 * TWO), "vs_curv": two / (14.0 * (TWO * TWO))}


def _weeks(streams: Streams) -> NDArray[np.bool_]:
    """First minutes of trading weeks. Shape (n,)."""
    grid = streams.panel.grid
    out = grid.seg_age == 0
    for row in np.flatnonzero(out).tolist():
        minute = int(grid.minute[row])
        out[row] = point_before(minute, GARCH.every, streams.calendar) == minute
    return np.asarray(out)


def _of_garch(streams: Streams, names: Sequence[str]) -> dict[str, F8]:
    values, which = in_force(streams, GARCH)
    found: dict[str, F8] = {}
    if "vs_garch_sigma" in names:
        found["vs_garch_sigma"] = garch(streams.rate_change, values, which, _weeks(streams))
    if "vs_garch_persist" in names:
        found["vs_garch_persist"] = persistence(values, which)
    return found


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    found = _of_garch(streams, names) if any("garch" in name for name in names) else {}
    if "vs_slope" in names or "vs_curv" in names:
        found |= _surface(streams)
    return {name: found[name] for name in names}


DATASET = Dataset(
    family="volatility_surface",
    domain="rate",
    columns=COLUMNS,
    compute=_compute,
    reference=reference,
    stage=EXTENSION,
    counted=False,
    summary="How realised volatility goes with the length of its window, and a GARCH forecast.",
    fits=(GARCH,),
)
