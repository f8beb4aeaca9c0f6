"""What trading costs beyond the market's own move."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from bqx.base.errors import BacktestError
from bqx.research.backtest.financing import Financing


@dataclass(frozen=True)
class Costs:
    """Bps of the notional a side, on top of the half-spread of the fill.

    slippage_bps : of a market order. slippage_sigma : the same in units of the 1-minute volatility, for orders move the
    price more when it moves anyway. commission_bps : 0.3 is 3 dollars a 100,000. latency : seconds from the close of
    the deciding bar to the fill. financing : at 17:00 New York.
    """

    slippage_bps: float = 0.1
    slippage_sigma: float = 0.0
    commission_bps: float = 0.3
    latency: float = 5.0
    financing: Financing = field(default_factory=Financing)

    def __post_init__(self) -> None:
        numbers = (self.slippage_bps, self.slippage_sigma, self.commission_bps, self.latency)
        if not all(x >= 0.0 for x in numbers):
            raise BacktestError(f"costs and latency are 0 or more, got {numbers}", where="Costs")
        if self.latency > 3600:
            raise BacktestError(f"a latency of {self.latency:,.0f} s is more than an hour", where="Costs.latency")

    @property
    def bars(self) -> int:
        """Whole bars of the latency: the fill is in bar t + 1 + `bars`."""
        return int(self.latency // 60)

    @property
    def fraction(self) -> float:
        """Where in that bar, 0 at its open. Between open and close the expected path is a straight line."""
        return (self.latency - 60 * self.bars) / 60.0

    def slippage(self, sigma: float) -> float:
        """Bps of one side for a 1-minute volatility in bps."""
        return self.slippage_bps + self.slippage_sigma * sigma

    def extra_round_trip(self) -> float:
        """Bps of a round trip beyond the spread, volatility part left out; for the hurdle of a signal."""
        return 2.0 * (self.slippage_bps + self.commission_bps)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "financing": {"markup": self.financing.markup, "rates": dict(self.financing.rates)}}
