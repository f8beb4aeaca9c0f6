"""What a broker is to bqx: four verbs. The simulated one keeps them, an adapter to a venue would too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from bqx.base.errors import BrokerError
from bqx.market.pairs import parse_pair

Why = Literal["entry", "time", "stop", "take"]


@dataclass(frozen=True, slots=True)
class Order:
    """A market order, decided at the close of the bar labelled `minute`.

    weight : notional as a multiple of the equity, > 0. closes : id of the order whose position it ends; None opens one.
    sigma : 1-minute volatility in bps at the decision, for slippage. stop_bps, take_bps : barriers that rest with the
    broker, distance from the entry's mid; None for none.
    """

    id: str
    pair: str
    side: int
    weight: float
    minute: int
    sigma: float = 0.0
    closes: str | None = None
    stop_bps: float | None = None
    take_bps: float | None = None

    def __post_init__(self) -> None:
        parse_pair(self.pair)
        if self.side not in (-1, 1) or not self.weight > 0:
            raise BrokerError(f"an order of side {self.side} and weight {self.weight}", where=self.id)
        if any(b is not None and not b > 0 for b in (self.stop_bps, self.take_bps)):
            raise BrokerError("a barrier must lie away from the entry", where=self.id, fix="give a distance above 0")


@dataclass(frozen=True, slots=True)
class Fill:
    """An order carried out in the bar `minute`: the mid it was measured from, and what it paid, bps of notional."""

    order: str
    pair: str
    side: int
    weight: float
    minute: int
    mid: float
    spread_bps: float
    slippage_bps: float
    commission_bps: float
    why: Why
    closes: str | None = None

    @property
    def cost_bps(self) -> float:
        return self.spread_bps + self.slippage_bps + self.commission_bps


@dataclass(frozen=True, slots=True)
class Reject:
    """An opening order that was not carried out: `gap`, `rollover`, `closure` or `news`."""

    order: str
    minute: int
    reason: str


@dataclass(frozen=True, slots=True)
class Charge:
    """Financing of an open position at 17:00 New York, bps of its notional; negative is income."""

    order: str
    minute: int
    days: int
    bps: float


Event = Fill | Reject | Charge


class Broker(Protocol):
    """Everything a strategy may ask of a broker."""

    def submit(self, order: Order) -> None:
        """Send an order; its fate comes with :meth:`fills`."""

    def positions(self) -> dict[str, float]:
        """Net signed weight of each pair with an open position."""

    def fills(self) -> list[Event]:
        """What happened since the last call, in order."""

    def mark(self) -> float:
        """Profit so far in bps of the equity, open positions at their last mid."""
