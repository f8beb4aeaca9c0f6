"""What a user may choose for a backtest, checked once and kept in the result."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

from bqx.base.errors import BacktestError
from bqx.research.backtest.costs import Costs
from bqx.research.backtest.signal import SignalRule
from bqx.research.backtest.simulate import Setup
from bqx.research.backtest.sizing import Sizing
from bqx.research.backtest.trader import Barriers
from bqx.research.backtest.zones import NoTrade


@dataclass(frozen=True)
class Settings:
    """cost_bps : a fixed all-in round trip instead of quotes, without slippage and commission. horizons : only these.
    seeds : random benchmarks. The rest is described with its class."""

    cost_bps: float | None = None
    margin_bps: float = 0.0
    shrink: float = 1.0
    horizons: tuple[int, ...] = ()
    costs: Costs = field(default_factory=Costs)
    zones: NoTrade = field(default_factory=NoTrade)
    sizing: Sizing = field(default_factory=Sizing)
    barriers: Barriers = field(default_factory=Barriers)
    seeds: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.cost_bps is not None and not self.cost_bps >= 0.0:
            raise BacktestError(f"a round trip of {self.cost_bps} bps is negative", where="cost_bps")
        if self.seeds < 20:
            raise BacktestError(f"{self.seeds} random benchmarks say nothing", where="seeds", fix="take at least 20")

    def setup(self) -> Setup:
        """The same as the simulation takes it; the hurdle of a signal holds all costs of a round trip."""
        costs = self.costs
        if self.cost_bps is not None:
            costs = Costs(0.0, 0.0, 0.0, costs.latency, costs.financing)
        rule = SignalRule(self.margin_bps, costs.extra_round_trip(), self.shrink)
        return Setup(rule, costs, self.zones, self.sizing, self.barriers)

    def as_dict(self) -> dict[str, Any]:
        """JSON values; the list of news by its length and digest."""
        news = hashlib.sha256(repr(self.zones.news).encode()).hexdigest()[:16] if self.zones.news else ""
        zones = {**asdict(self.zones), "news": len(self.zones.news), "news_digest": news}
        parts = {"costs": self.setup().costs.as_dict(), "zones": zones, "sizing": asdict(self.sizing)}
        plain = {k: getattr(self, k) for k in ("cost_bps", "margin_bps", "shrink", "seeds", "seed")}
        return {**plain, "horizons": list(self.horizons), **parts, "barriers": asdict(self.barriers)}
