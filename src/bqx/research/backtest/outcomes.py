"""What a position would have made, for every row at once: no caps, time exits only. For benchmarks and for the family
of settings that overfitting is judged on; the event loop gives the same trades when nothing is capped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import Calendar
from bqx.research.backtest.costs import Costs
from bqx.research.backtest.financing import nights, settlement
from bqx.research.backtest.forecasts import Forecasts
from bqx.research.backtest.market import Market
from bqx.research.backtest.zones import FREE, NEWS, ROLLOVER, NoTrade

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B = NDArray[np.bool_]
FAR = 1 << 40


@dataclass(frozen=True)
class Outcomes:
    """Rows (n,) of one pair and horizon.

    ready : a position may be decided here (quoted bar, no zone). fills : its order is carried out. gross_bps : of a
    long position. cost_bps : spread, slippage, commission of both sides. long_financing, short_financing : bps.
    day : trade day of the exit. until : minute whose close decides the exit, the first at which a new position may be
    decided. spread_bps : of a round trip as quoted at t, what the signal knows.
    """

    table: Forecasts
    ready: B
    fills: B
    gross_bps: F8
    cost_bps: F8
    long_financing: F8
    short_financing: F8
    day: I8
    until: I8
    spread_bps: F8

    def net_bps(self, side: NDArray[np.integer], stress: float = 1.0) -> F8:
        """Net of one unit on `side` (n,) of -1, 0, 1."""
        financing = np.where(side > 0, self.long_financing, self.short_financing)
        return np.where(side == 0, 0.0, side * self.gross_bps - stress * self.cost_bps - financing)


def outcomes(table: Forecasts, market: Market, calendar: Calendar, costs: Costs, zones: NoTrade) -> Outcomes:
    """Outcomes of all rows; `market` holds the pair over the whole span and the bars of the last exits."""
    j = market.pairs.index(table.pair)
    g = market.grid
    n, h, f = len(g), table.horizon, costs.fraction
    quoted = np.isfinite(market.close[:, j])
    mid = market.open[:, j] + f * (market.close[:, j] - market.open[:, j])
    half = market.half_open[:, j] + f * (market.half_close[:, j] - market.half_open[:, j])
    at = np.minimum(np.searchsorted(g.minute, table.minute), n - 1)
    zone = zones.codes(table.minute, g.minute_of_day[at], table.left, h)
    ready = (g.minute[at] == table.minute) & quoted[at] & (zone == FREE)
    fills = ready & (at + 1 + costs.bars < n)
    entry = np.minimum(at + 1 + costs.bars, n - 1)
    entry_zone = zones.codes(g.minute[entry], g.minute_of_day[entry], np.full(len(entry), FAR), 1)
    fills &= quoted[entry] & (g.seg_id[entry] == g.seg_id[at]) & (entry_zone != ROLLOVER) & (entry_zone != NEWS)
    leave = _next_quoted(quoted)[np.minimum(at + h + 1 + costs.bars, n)]
    fills &= leave < n
    leave = np.minimum(leave, n - 1)
    gross = 1e4 * (mid[leave] / mid[entry] - 1.0)
    extra = 2.0 * (costs.slippage_bps + costs.slippage_sigma * table.sigma + costs.commission_bps)
    cost = half[entry] + half[leave] + extra
    long_financing, short_financing = np.zeros(len(at)), np.zeros(len(at))
    for i in np.flatnonzero(fills & (g.day[leave] != g.day[entry])):
        day, days = int(g.day[entry[i]]), 0
        while day < int(g.day[leave[i]]):
            days += nights(calendar, day, settlement(table.pair))
            day = calendar.later_day(day, 1)
        long_financing[i] = costs.financing.cost_bps(table.pair, 1, days)
        short_financing[i] = costs.financing.cost_bps(table.pair, -1, days)
    return Outcomes(
        table, ready, fills, gross, cost, long_financing, short_financing, g.day[leave].astype(np.int64),
        table.minute + h, 2.0 * market.half_close[at, j],
    )  # fmt: skip


def taken(o: Outcomes, side: NDArray[np.integer]) -> I8:
    """Rows at which a position is opened when there is one at a time, first come first served; those that fill."""
    out = []
    free = -1
    for i in np.flatnonzero(o.ready & (side != 0)).tolist():
        minute = int(o.table.minute[i])
        if minute >= free and o.fills[i]:
            out.append(i)
            free = int(o.until[i])
    return np.array(out, np.int64)


def _next_quoted(quoted: B) -> I8:
    """For each place, the first quoted one at or after it; n where there is none. Shape (n + 1,)."""
    n = len(quoted)
    marks = np.where(quoted, np.arange(n), n)
    return np.append(np.minimum.accumulate(marks[::-1])[::-1], n)
