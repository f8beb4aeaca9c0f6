"""What a round trip's spread was, by pair, session and volatility: the median of the quotes at the decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import Grid
from bqx.research.backtest.outcomes import Outcomes
from bqx.research.backtest.sessions import NAMES, session_codes

F8 = NDArray[np.float64]
TERCILES = ("calm", "normal", "volatile")


class SpreadTable:
    """Takes one table a pair (the first counts: the spread at t does not depend on the horizon)."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._seen: set[str] = set()

    def add(self, o: Outcomes, grid: Grid) -> None:
        """Medians of one pair; volatility in terciles of sigma over the whole test, for description only."""
        pair = o.table.pair
        ok = np.isfinite(o.spread_bps)
        if pair in self._seen or not ok.any():
            return
        self._seen.add(pair)
        at = np.minimum(np.searchsorted(grid.minute, o.table.minute), len(grid) - 1)
        session = session_codes(grid.day[at], grid.minute_of_day[at])
        edges = np.quantile(o.table.sigma[ok], [1 / 3, 2 / 3])
        level = np.searchsorted(edges, o.table.sigma)
        for s, name in enumerate(NAMES):
            for v, volatility in enumerate(TERCILES):
                rows = ok & (session == s) & (level == v)
                if rows.any():
                    spread = float(np.median(o.spread_bps[rows]))
                    self._rows.append({"pair": pair, "session": name, "volatility": volatility, "spread_bps": spread,
                                       "rows": int(rows.sum())})  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """One record a pair, session and tercile that has decisions."""
        return self._rows
