"""The strategy: from forecasts of a minute to orders, one position a pair and horizon, closed after h bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bqx.base.errors import BacktestError, BrokerError
from bqx.research.backtest.market import Bar
from bqx.research.backtest.signal import SignalRule, signal
from bqx.research.backtest.sizing import Exposure, Sizing
from bqx.research.backtest.zones import NoTrade
from bqx.research.broker.contract import Broker, Charge, Fill, Order, Reject


@dataclass(frozen=True, slots=True)
class Decision:
    """A forecast made at the close of a bar. left : open minutes of the segment after it; f4, sigma as in the forecast
    table; most : a cap on the weight by what the evidence supports (Kelly), None for none."""

    pair: str
    horizon: int
    fold: int
    f4: float
    sigma: float
    left: int
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Barriers:
    """Exits before h bars, in units of sigma(t) sqrt(h) from the entry; None for none (Lopez de Prado 2018, ch. 3)."""

    stop: float | None = None
    take: float | None = None

    def __post_init__(self) -> None:
        if any(b is not None and not b > 0 for b in (self.stop, self.take)):
            raise BacktestError(f"barriers are positive multiples of sigma, got {self}", where="Barriers")


@dataclass(frozen=True, slots=True)
class Trade:
    """A closed position. All bps are of its notional; `weight` times them is of the equity.

    gross_bps : move of the mid in the trade's favour. spread, slippage, commission : both sides. net = gross - costs.
    """

    id: str
    pair: str
    horizon: int
    fold: int
    side: int
    weight: float
    decided: int
    entered: int
    exited: int
    entry: float
    exit: float
    expected_bps: float
    gross_bps: float
    spread_bps: float
    slippage_bps: float
    commission_bps: float
    financing_bps: float
    why: str

    @property
    def cost_bps(self) -> float:
        """What stress multiplies: everything but financing."""
        return self.spread_bps + self.slippage_bps + self.commission_bps

    @property
    def net_bps(self) -> float:
        return self.gross_bps - self.cost_bps - self.financing_bps


@dataclass(slots=True)
class _Open:
    order: Order
    horizon: int
    fold: int
    expected: float
    entry: Fill | None = None
    leaving: bool = False
    financing: float = 0.0


@dataclass
class Trader:
    """Steps through minutes with any broker: the backtest, paper trading and a live desk run this same class.

    demonstrated : False holds every signal back (a model without all gates). After each step `trades` holds the closed
    positions and `refused` how many forecasts did
    not lead to a position, by reason (those below cost are not counted).
    """

    broker: Broker
    rule: SignalRule
    zones: NoTrade
    sizing: Sizing
    barriers: Barriers = field(default_factory=Barriers)
    demonstrated: bool = True
    trades: list[Trade] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    _open: dict[str, _Open] = field(default_factory=dict)
    _sleeves: dict[tuple[str, int], str] = field(default_factory=dict)

    def step(self, bar: Bar, decisions: Sequence[Decision] = ()) -> None:
        """What is to be done at the close of a bar; the broker has seen the bar."""
        self._take_in()
        for key, one in self._open.items():
            due = bar.minute >= one.order.minute + one.horizon
            if due and one.entry is not None and not one.leaving:
                o = one.order
                self.broker.submit(Order(f"{key}/exit", o.pair, -o.side, o.weight, bar.minute, o.sigma, closes=key))
                one.leaving = True
                self._free(o.pair, one.horizon, key)
        wanted = []
        for d in decisions:
            quote = bar.quotes.get(d.pair)
            if quote is None or (d.pair, d.horizon) in self._sleeves:
                self.refused["gap" if quote is None else "position open"] += 1
                continue
            blocked = self.zones.reason(bar.minute, bar.minute_of_day, d.left, d.horizon)
            cost = 2.0 * quote.half_close
            s = signal(d.f4, d.sigma, cost, d.horizon, self.rule, demonstrated=self.demonstrated, blocked=blocked)
            if not s.side and s.reason == blocked and blocked is not None:
                self.refused[blocked] += 1
            elif s.side:
                wanted.append((-s.strength, d.pair, d.horizon, s, d))
        if wanted:
            held = Exposure((o.order.pair, o.order.side * o.order.weight) for o in self._open.values())
            for _, pair, horizon, s, d in sorted(wanted, key=lambda w: w[:3]):
                self._enter(bar, pair, horizon, s.side, s.expected_bps, d, held)

    def _enter(
        self, bar: Bar, pair: str, horizon: int, side: int, expected: float, d: Decision, held: Exposure
    ) -> None:
        full = self.sizing.weight(d.sigma, horizon)
        full = full if d.most is None else min(full, d.most)
        share = held.room(pair, side * full, self.sizing.currency_cap)
        if full <= 0.0 or share <= 0.0 or share < self.sizing.least:
            self.refused["no evidence for a size" if full <= 0.0 else "currency cap"] += 1
            return
        scale = d.sigma * horizon**0.5
        stop, take = (None if b is None else b * scale for b in (self.barriers.stop, self.barriers.take))
        key = f"{bar.minute}.{pair}.{horizon}"
        order = Order(key, pair, side, share * full, bar.minute, d.sigma, stop_bps=stop, take_bps=take)
        self.broker.submit(order)
        self._open[key] = _Open(order, horizon, d.fold, expected)
        self._sleeves[pair, horizon] = key
        held.add(pair, side * order.weight)

    def _take_in(self) -> None:
        for event in self.broker.fills():
            if isinstance(event, Reject):
                self.refused[event.reason] += 1
                one = self._open.pop(event.order)
                self._free(one.order.pair, one.horizon, event.order)
            elif isinstance(event, Charge):
                self._open[event.order].financing += event.bps
            elif event.closes is None:
                self._open[event.order].entry = event
            else:
                one = self._open.pop(event.closes)
                self._free(one.order.pair, one.horizon, event.closes)
                self.trades.append(_trade(one, event))

    def _free(self, pair: str, horizon: int, key: str) -> None:
        if self._sleeves.get((pair, horizon)) == key:
            del self._sleeves[pair, horizon]

    def settle(self) -> None:
        """Take in what the broker reported after the last step."""
        self._take_in()

    @property
    def open(self) -> int:
        """Positions and orders that are not closed."""
        return len(self._open)


def _trade(one: _Open, leave: Fill) -> Trade:
    o, enter = one.order, one.entry
    if enter is None:
        raise BrokerError("a position was closed that was never opened", where=o.id)
    return Trade(
        o.id, o.pair, one.horizon, one.fold, o.side, o.weight, o.minute, enter.minute, leave.minute, enter.mid,
        leave.mid, one.expected, o.side * 1e4 * (leave.mid / enter.mid - 1.0), enter.spread_bps + leave.spread_bps,
        enter.slippage_bps + leave.slippage_bps, enter.commission_bps + leave.commission_bps, one.financing, leave.why,
    )  # fmt: skip
