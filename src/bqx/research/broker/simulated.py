"""A deterministic broker on completed bars: next-bar fills, half-spreads, slippage, financing, barriers."""

from __future__ import annotations

from dataclasses import dataclass

from bqx.base.errors import BrokerError
from bqx.market.calendar import Calendar
from bqx.research.backtest.costs import Costs
from bqx.research.backtest.financing import nights, settlement
from bqx.research.backtest.market import Bar, Quote
from bqx.research.backtest.zones import NoTrade
from bqx.research.broker.contract import Charge, Event, Fill, Order, Reject, Why

NEVER_CLOSES = 1 << 40


@dataclass(slots=True)
class _Lot:
    """An open position."""

    order: Order
    entry: float
    last: float


class SimulatedBroker:
    """Takes orders at any time and bars in order; the same bars and orders give the same fills.

    An order decided at the close of bar t is filled in bar t + 1 (later by the latency), on the straight line between
    that bar's open and close. Opening orders are rejected when that bar was not quoted (`gap`), lies in another segment
    (`closure`), around 17:00 New York (`rollover`) or in a news blackout (`news`). Closing orders wait for the next
    quoted bar. A stop that the bar's range touches fills at the barrier, or at the open when that is worse; a take
    fills at its barrier; when one bar touches both the stop came first.
    """

    def __init__(self, calendar: Calendar, costs: Costs, zones: NoTrade) -> None:
        self.calendar, self.costs, self.zones = calendar, costs, zones
        self.minute = -1
        self.cash = 0.0
        self._day = -1
        self._segment = -1
        self._pending: list[tuple[Order, int]] = []
        self._lots: dict[str, _Lot] = {}
        self._seen: set[str] = set()
        self._events: list[Event] = []

    def submit(self, order: Order) -> None:
        """BrokerError for an id used before, an order decided before the latest bar, or one that closes nothing."""
        if order.id in self._seen:
            raise BrokerError("an order with this id was sent before", where=order.id)
        if order.minute < self.minute:
            raise BrokerError(f"an order of minute {order.minute} comes after bar {self.minute}", where=order.id)
        if order.closes is not None:
            lot = self._lots.get(order.closes)
            if lot is None or lot.order.pair != order.pair or lot.order.side != -order.side:
                raise BrokerError(f"there is no position of order {order.closes!r} to close", where=order.id)
        self._seen.add(order.id)
        self._pending.append((order, self._segment))

    def positions(self) -> dict[str, float]:
        out: dict[str, float] = {}
        for lot in self._lots.values():
            out[lot.order.pair] = out.get(lot.order.pair, 0.0) + lot.order.side * lot.order.weight
        return out

    def fills(self) -> list[Event]:
        out, self._events = self._events, []
        return out

    def mark(self) -> float:
        return self.cash + sum(
            lot.order.side * lot.order.weight * 1e4 * (lot.last / lot.entry - 1.0) for lot in self._lots.values()
        )

    def on_bar(self, bar: Bar) -> None:
        """Take a completed bar in; BrokerError unless it is later than the one before."""
        if bar.minute <= self.minute:
            raise BrokerError(f"bar {bar.minute} comes after bar {self.minute}")
        if self._lots and bar.day != self._day >= 0:
            self._finance(bar)
        self.minute, self._day, self._segment = bar.minute, bar.day, bar.segment
        fresh = self._fill_pending(bar)
        for key, lot in list(self._lots.items()):
            quote = bar.quotes.get(lot.order.pair)
            if quote is not None:
                self._barriers(key, lot, quote, key in fresh)
                lot.last = quote.close

    def _fill_pending(self, bar: Bar) -> set[str]:
        """Try the orders in the order they came; gives the ids of those that opened."""
        waiting: list[tuple[Order, int]] = []
        opened: set[str] = set()
        for order, segment in self._pending:
            due = order.minute + 1 + self.costs.bars
            quote = bar.quotes.get(order.pair)
            if bar.minute < due and bar.segment == segment:
                waiting.append((order, segment))
            elif order.closes is None:
                reason = self._refusal(bar, quote, due, segment)
                if reason is not None or quote is None:
                    self._events.append(Reject(order.id, bar.minute, reason or "gap"))
                else:
                    mid, half = self._price(quote)
                    self._lots[order.id] = _Lot(order, mid, quote.close)
                    self._record(order, order.side, mid, half, "entry", None)
                    opened.add(order.id)
            elif order.closes in self._lots:  # else a barrier was quicker
                if quote is None:
                    waiting.append((order, segment))
                else:
                    mid, half = self._price(quote)
                    self._close(order.closes, mid, half, "time", order.id)
        self._pending = waiting
        return opened

    def _refusal(self, bar: Bar, quote: Quote | None, due: int, segment: int) -> str | None:
        if bar.segment != segment:
            return "closure"
        if quote is None or bar.minute > due:
            return "gap"
        return self.zones.reason(bar.minute, bar.minute_of_day, NEVER_CLOSES, 1)

    def _price(self, quote: Quote) -> tuple[float, float]:
        f = self.costs.fraction
        return (
            quote.open + f * (quote.close - quote.open),
            quote.half_open + f * (quote.half_close - quote.half_open),
        )

    def _barriers(self, key: str, lot: _Lot, quote: Quote, fresh: bool) -> None:
        """In the bar of the entry only its close counts, for the range may have been made before the fill."""
        order, side = lot.order, lot.order.side
        high, low, opens = (quote.close, quote.close, lot.entry) if fresh else (quote.high, quote.low, quote.open)
        against, favour = (low, high) if side > 0 else (high, low)
        if order.stop_bps is not None:
            barrier = lot.entry * (1.0 - side * order.stop_bps / 1e4)
            if side * (against - barrier) <= 0.0:
                mid = opens if side * (opens - barrier) < 0.0 else barrier
                self._close(key, mid, quote.half_close, "stop", f"{key}/stop")
                return
        if order.take_bps is not None:
            barrier = lot.entry * (1.0 + side * order.take_bps / 1e4)
            if side * (favour - barrier) >= 0.0:
                self._close(key, barrier, quote.half_close, "take", f"{key}/take")

    def _close(self, key: str, mid: float, half: float, why: Why, name: str) -> None:
        lot = self._lots.pop(key)
        order = lot.order
        self.cash += order.side * order.weight * 1e4 * (mid / lot.entry - 1.0)
        self._record(order, -order.side, mid, half, why, key, name)

    def _record(
        self, order: Order, side: int, mid: float, half: float, why: Why, closes: str | None, name: str = ""
    ) -> None:
        slippage = 0.0 if why == "take" else self.costs.slippage(order.sigma)
        fill = Fill(name or order.id, order.pair, side, order.weight, self.minute, mid, half, slippage,
                    self.costs.commission_bps, why, closes)  # fmt: skip
        self.cash -= order.weight * fill.cost_bps
        self._events.append(fill)

    def _finance(self, bar: Bar) -> None:
        """Charge every close of a trade day between the last bar and this one."""
        day = self._day
        while day < bar.day:
            for key, lot in self._lots.items():
                days = nights(self.calendar, day, settlement(lot.order.pair))
                bps = self.costs.financing.cost_bps(lot.order.pair, lot.order.side, days)
                self.cash -= lot.order.weight * bps
                self._events.append(Charge(key, bar.minute, days, bps))
            day = self.calendar.later_day(day, 1)
