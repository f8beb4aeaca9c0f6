"""The event loop: bars in, fills, decisions, orders out, one minute after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import Calendar
from bqx.research.backtest.costs import Costs
from bqx.research.backtest.forecasts import Decisions, Forecasts
from bqx.research.backtest.market import Market
from bqx.research.backtest.signal import SignalRule, signals
from bqx.research.backtest.sizing import Sizing
from bqx.research.backtest.trader import Barriers, Trade, Trader
from bqx.research.backtest.zones import NoTrade
from bqx.research.broker.simulated import SimulatedBroker

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True)
class Setup:
    """All that decides the trades of given forecasts and bars."""

    rule: SignalRule = field(default_factory=SignalRule)
    costs: Costs = field(default_factory=Costs)
    zones: NoTrade = field(default_factory=NoTrade)
    sizing: Sizing = field(default_factory=Sizing)
    barriers: Barriers = field(default_factory=Barriers)


@dataclass(frozen=True)
class Simulated:
    """days : trade day numbers (d,), every open day of the bars. pnl : bps of the equity, marked to market (d,).

    refused : orders not sent or not filled, by reason. open : positions without an exit at the end. bars, estimated :
    quoted bars of all pairs, and those of them whose spread is assumed.
    """

    days: I8
    pnl: F8
    trades: list[Trade]
    refused: dict[str, int]
    open: int
    bars: int
    estimated: int


def simulate(
    markets: Iterable[Market],
    calendar: Calendar,
    tables: Iterable[Forecasts],
    setup: Setup,
    *,
    most: Mapping[tuple[int, int], float] | None = None,
    demonstrated: bool = True,
    note: Callable[[str], None] = lambda _: None,
) -> Simulated:
    """Trade the forecasts on the bars. most : cap on the weight by (horizon, fold), see `Sizing.kelly`."""
    broker = SimulatedBroker(calendar, setup.costs, setup.zones)
    trader = Trader(broker, setup.rule, setup.zones, setup.sizing, setup.barriers, demonstrated)
    ahead = Decisions([hopeful(t, setup.rule) for t in tables], most)
    days: list[int] = []
    equity: list[float] = []
    bars = estimated = 0
    for market in markets:
        bars += int(np.isfinite(market.close).sum())
        estimated += int(market.estimated.sum())
        for bar in market.bars():
            if not days or bar.day != days[-1]:
                days.append(bar.day)
                equity.append(0.0)
            broker.on_bar(bar)
            trader.step(bar, ahead.of(bar.minute))
            equity[-1] = broker.mark()
        note(f"{len(days)} trade days, {len(trader.trades):,} trades")
    trader.settle()
    pnl = np.diff(np.array(equity), prepend=0.0)
    return Simulated(np.array(days, np.int64), pnl, trader.trades, dict(trader.refused), trader.open, bars, estimated)


def hopeful(table: Forecasts, rule: SignalRule) -> Forecasts:
    """The rows that could trade if the spread were 0; the others never do, so the loop need not see them."""
    side = signals(table.f4, table.sigma, 0.0, table.horizon, rule).side
    return table.take(side != 0)
