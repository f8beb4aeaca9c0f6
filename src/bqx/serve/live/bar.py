"""One pair's bar as a feed gives it, and what no bar can be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS
from bqx.market.validate import DEEP_CROSS

FIELDS = (*PRICE_COLUMNS, "volume", *QUOTE_COLUMNS)
"""Of a bar, in the order in which arrays (fields, pairs) hold them."""


@dataclass(frozen=True, slots=True)
class Bar:
    """pair : `eurusd`. minute : UTC, the bar's start, usable 60 s later. values : :data:`FIELDS`, NaN for none."""

    pair: str
    minute: int
    values: tuple[float, ...]

    def problem(self) -> str | None:
        """Why no market can have made it; None for a bar that can be."""
        o, h, l, c = self.values[:4]
        if not all(math.isfinite(v) and v > 0.0 for v in (o, h, l, c)):
            return f"prices {o:g}, {h:g}, {l:g}, {c:g} are not all positive numbers"
        if not (l <= o <= h and l <= c <= h):
            return f"open {o:g} or close {c:g} lies outside of low {l:g} and high {h:g}"
        if self.values[4] < 0.0:
            return f"volume {self.values[4]:g} is negative"
        if any(math.isinf(v) for v in self.values[4:]):
            return "an infinite value"
        mid = (self.values[8] + self.values[12]) / 2.0  # closes of bid and ask; NaN without quotes
        if self.values[8] - self.values[12] > DEEP_CROSS * mid:
            return f"bid {self.values[8]:g} lies above ask {self.values[12]:g}"
        return None

    def same(self, other: NDArray[np.float64]) -> bool:
        """Whether it has the values of a row of :data:`FIELDS`."""
        mine = np.array(self.values)
        return bool(np.all((mine == other) | (np.isnan(mine) & np.isnan(other))))


def of_quotes(pair: str, minute: int, bid: tuple[float, ...], ask: tuple[float, ...], volume: float) -> Bar:
    """A bar of bid and ask bars (open, high, low, close); mids are their means, as importers make them."""
    mids = tuple((b + a) / 2.0 for b, a in zip(bid, ask, strict=True))
    return Bar(pair, minute, (*mids, volume, *bid, *ask))
