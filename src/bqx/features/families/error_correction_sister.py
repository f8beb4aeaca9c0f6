"""The sister pair: of the 12 that share a currency, the one whose minute changes followed it most last month."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.error_correction_support import MonthBefore, before, related
from bqx.features.fits import Fit, fitted
from bqx.features.kernels.pairwise import correlation_of
from bqx.features.panel_support import STALE, Recent
from bqx.features.refresh import latest_points
from bqx.features.streams import PRICE, Streams
from bqx.features.support import All, Everyone, View
from bqx.market.pairs import PAIRS

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

_MONTH = MonthBefore(Recent(PRICE))
SEEN = All((_MONTH, Everyone(_MONTH, "base"), Everyone(_MONTH, "quote")))
"""The pair and all 12 must have nine tenths of the month's minutes."""


def choose(streams: Streams, row: int, lanes: I8) -> F8:
    """Place in PAIRS of each lane's sister, (lanes, 1); NaN where a month of prices is missing. Of equals, the first by
    name. Changes of minutes that carry a price for more than `STALE` minutes do not count."""
    panel = streams.panel
    first, _ = before(int(panel.grid.minute[row]), streams.calendar)
    out = np.full((len(lanes), 1), np.nan)
    if first < panel.grid.minute[0]:
        return out
    rows = slice(panel.grid.index(first), panel.grid.index(int(panel.grid.minute[row])))
    seen = panel.slice(0, row + 1)
    enough = SEEN.valid(View(seen, streams.calendar))[row]
    x = np.where(panel.fill_run[rows] <= STALE, streams.rate_change[rows], np.nan)
    for k, lane in enumerate(lanes.tolist()):
        if enough[lane]:
            names = related(panel.pairs[lane])
            strength = [abs(correlation_of(x, lane, panel.pairs.index(name))) for name in names]
            known = [-1.0 if s != s else s for s in strength]
            if max(known) >= 0.0:
                out[k, 0] = PAIRS.index(names[known.index(max(known))])
    return out


SISTER = Fit(
    name="sister",
    dataset="error_correction_dual",
    parameters=("place",),
    every="month",
    sees=SEEN,
    make=choose,
    everyone=True,
    summary="Place, in the canonical order of the 28 pairs, of the related pair with the highest absolute correlation "
    "of one-minute changes in the previous calendar month.",
)


def sisters(streams: Streams) -> tuple[I8, I8]:
    """Row of the latest month point of each row, -1 where none precedes it or its month is not wholly among the bars,
    and, per row of the first array's distinct values from 0 on, the lane of each lane's sister, -1 without one: shapes
    (n,) and (points, pairs), in the order of `np.unique`."""
    panel = streams.panel
    latest = latest_points(panel.grid, "month", streams.calendar)
    place = {name: k for k, name in enumerate(panel.pairs)}
    found = []
    for row in np.unique(latest[latest >= 0]).tolist():
        if before(int(panel.grid.minute[row]), streams.calendar)[0] < panel.grid.minute[0]:
            latest[latest == row] = -1  # what is kept must be what all of the month says
            continue
        chosen = fitted(SISTER, streams, row)[:, 0].tolist()
        found.append([place[PAIRS[int(c)]] if c == c else -1 for c in chosen])
    return latest, np.array(found, dtype=np.int64).reshape(len(found), len(panel.pairs))
