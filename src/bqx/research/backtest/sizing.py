"""How much: a fixed risk a trade, capped by trade, by currency and by what the evidence supports."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import BacktestError
from bqx.market.pairs import CURRENCIES, parse_pair

F8 = NDArray[np.float64]
KELLY_MOST = 0.25
KELLY_FEWEST = 100
Z90 = 1.6448536269514722
"""Of a one-sided 95 % bound, the lower end of a 90 % interval."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Weights are notionals as multiples of the equity.

    risk_bps : what one deviation of the return over the horizon may move the equity by, so that volatile times get
    small positions. most : of one trade. currency_cap : of the long and of the short exposure to a currency over all
    open positions, so of the net too; an order beyond it is cut down, and refused below `least` of its size. None takes
    the cap away.
    kelly : a cap on the weight as a share of the growth-optimal one at the lower bound of the edge (`kelly_weight`);
    None leaves it out.
    """

    risk_bps: float = 1.0
    most: float = 1.0
    currency_cap: float | None = 2.0
    least: float = 0.1
    kelly: float | None = None

    def __post_init__(self) -> None:
        if not (self.risk_bps > 0 and self.most > 0 and 0 <= self.least <= 1):
            raise BacktestError(f"sizes must be positive, got {self}", where="Sizing")
        if self.currency_cap is not None and not self.currency_cap > 0:
            raise BacktestError(f"a currency cap of {self.currency_cap} allows nothing", where="Sizing.currency_cap")
        if self.kelly is not None and not 0 < self.kelly <= KELLY_MOST:
            raise BacktestError(
                f"a Kelly fraction of {self.kelly} is outside (0, {KELLY_MOST}]",
                where="Sizing.kelly",
                fix="the edge is estimated; more than a quarter of Kelly ruins accounts",
            )

    def weight(self, sigma: float, horizon: int) -> float:
        """Before caps by currency and evidence; sigma in bps a root of a bar. 0 when sigma is not positive."""
        return min(self.most, self.risk_bps / (sigma * math.sqrt(horizon))) if sigma > 0 else 0.0

    def weights(self, sigma: F8, horizon: int) -> F8:
        """The same for arrays."""
        safe = np.where(sigma > 0, sigma, np.inf)
        return np.minimum(self.most, self.risk_bps / (safe * math.sqrt(horizon)))


class Exposure:
    """Long and short exposure to each currency, summed apart, of positions and orders on their way.

    A cap on each side holds for the net whatever is closed or rejected first; a cap on the net itself would be broken
    as soon as one of two positions that offset each other ends.
    """

    def __init__(self, positions: Iterable[tuple[str, float]] = ()) -> None:
        self.long, self.short = dict.fromkeys(CURRENCIES, 0.0), dict.fromkeys(CURRENCIES, 0.0)
        for pair, signed in positions:
            self.add(pair, signed)

    def net(self) -> dict[str, float]:
        """Long less short by currency.

        >>> e = Exposure([("eurusd", 1.0), ("eurjpy", -0.5)]).net(); e["eur"], e["usd"], e["jpy"]
        (0.5, -1.0, 0.5)
        """
        return {c: self.long[c] - self.short[c] for c in CURRENCIES}

    def add(self, pair: str, signed: float) -> None:
        both = parse_pair(pair)
        for currency, move in ((both.base, signed), (both.quote, -signed)):
            side = self.long if move > 0 else self.short
            side[currency] += abs(move)

    def room(self, pair: str, signed: float, cap: float | None) -> float:
        """The share of an order of `signed` weight, 0 to 1, that keeps both its currencies within the cap."""
        if cap is None or signed == 0.0:
            return 1.0
        both, share = parse_pair(pair), 1.0
        for currency, move in ((both.base, signed), (both.quote, -signed)):
            used = (self.long if move > 0 else self.short)[currency]
            share = min(share, max(cap - used, 0.0) / abs(move))
        return share


def kelly_weight(net_bps: F8, fraction: float) -> float:
    """`fraction` of the growth-optimal weight at the lower bound of the edge: mean less 1.645 standard errors, over the
    variance, of net returns (n,) a unit of notional. 0 below 100 trades or when the bound is not positive.

    For small returns the optimum of E log(1 + w r) is mean / variance (Thorp 2006).
    """
    if not 0 < fraction <= KELLY_MOST:
        raise BacktestError(f"a Kelly fraction of {fraction} is outside (0, {KELLY_MOST}]", where="kelly_weight")
    n = len(net_bps)
    if n < KELLY_FEWEST:
        return 0.0
    r = net_bps / 1e4
    variance = float(r.var(ddof=1))
    low = float(r.mean()) - Z90 * math.sqrt(variance / n)
    return fraction * low / variance if low > 0 and variance > 0 else 0.0
