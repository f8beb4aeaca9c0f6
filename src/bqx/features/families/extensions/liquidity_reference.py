"""liquidity the slow way: the spread's own references, and a root of a mean."""

from __future__ import annotations

import math

import numpy as np

from bqx.features.families.spread_reference import reference as spread
from bqx.features.streams import Streams


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way."""
    if column == "lq_spread_pct":
        return spread(streams, "spread_pctile_240", row, pair)
    if column == "lq_shock":
        return float(spread(streams, "spread_tod_z", row, pair) > 3.0)
    moves = streams.rate_change[row - 59 : row + 1, pair]
    moves = moves[~np.isnan(moves)]
    return 0.5 * spread(streams, "spread_bps", row, pair) / math.sqrt(math.fsum(moves * moves) / len(moves))
