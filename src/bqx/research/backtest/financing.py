"""What a position pays or earns when it is carried over 17:00 New York."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bqx.base.errors import BacktestError
from bqx.market.calendar import Calendar
from bqx.market.pairs import CURRENCIES, parse_pair

T_PLUS_ONE = frozenset({"usdcad"})
"""Pairs that settle a day after the trade: the US and Canadian dollar share a time zone. All others of the 28, crosses
with CAD among them, settle after two."""


def settlement(pair: str) -> int:
    """Business days from trade to value date."""
    return 1 if pair in T_PLUS_ONE else 2


def nights(calendar: Calendar, day: int, lag: int) -> int:
    """Calendar days by which the value date moves when a position passes the close of the open trade day `day`.

    The value date of a day is `lag` open days later. So lag 2 pays three nights on Wednesday (Friday to Monday), lag 1
    on Thursday; a closed day in between adds its own. National bank holidays that the market trades through are not
    known to the calendar.
    """
    today, tomorrow = calendar.later_day(day, 0), calendar.later_day(day, 1)
    return calendar.later_day(tomorrow, lag) - calendar.later_day(today, lag)


@dataclass(frozen=True)
class Financing:
    """Percent a year. markup : what the broker keeps, on long and short positions alike. rates : of currencies; the
    differential base - quote is earned by a long position. Empty means: no differential is known, only the markup is
    charged."""

    markup: float = 1.0
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.markup < 0.0:
            raise BacktestError(f"a financing markup of {self.markup} % is negative", where="Financing")
        unknown = set(self.rates) - set(CURRENCIES)
        if unknown or (self.rates and set(CURRENCIES) - set(self.rates)):
            raise BacktestError("interest rates need all of the eight currencies, or none",
                                where="Financing.rates", fix=f"give {', '.join(CURRENCIES)}")  # fmt: skip

    def cost_bps(self, pair: str, side: int, days: int) -> float:
        """Bps of the notional that `days` nights cost (negative: earn). Actual/360."""
        both = parse_pair(pair)
        carry = self.rates.get(both.base, 0.0) - self.rates.get(both.quote, 0.0)
        return 100.0 * (self.markup - side * carry) * days / 360.0
