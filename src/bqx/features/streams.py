"""The two additive streams every family is written on, in basis points.

rate : log prices counted from the first open of each segment, so neither T0 nor the start of a build moves a bit.
bqx : M_W(t), the mean of the W closes before t against the price at t, oriented (positive = price rising) and scaled
so that a random walk gives it the standard deviation of one minute. M is increasing in the price of bar t, so M of
the bar's high and low are its exact extremes within the minute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.anchors import Anchors
from bqx.features.fits import Kept, Shelf
from bqx.features.kernels import ewma, extremes, lags, levels, momentum
from bqx.features.support import All, Lag, Price, Support, Trajectory, Window, needed, segment_rows
from bqx.market.calendar import Calendar
from bqx.market.panel import Panel

F8 = NDArray[np.float64]
Domain = Literal["rate", "bqx"]

WINDOWS = (15, 30, 45, 60, 75)
"""Look-backs of the raw BQX; the first is the stream's."""

HALF_LIFE = 120
SIGMA_NEED = 5 * HALF_LIFE
SIGMA_BURN = 20 * HALF_LIFE
"""Half-life of the EWMA variance, values it must have seen, and its head start before a segment, in bars."""

PRICE = Price()


def momentum_support(window: int) -> Support:
    return All((PRICE, Window(PRICE, window, "SEG", before=True)))


SIGMA = Trajectory(PRICE, need=SIGMA_NEED, burn=SIGMA_BURN, before=True)


def momentum_scale(window: int) -> float:
    """c_W = sqrt(W (W + 1) (2 W + 1) / 6): standard deviation of raw BQX in one-minute sigmas on a random walk."""
    return math.sqrt(window * (window + 1) * (2 * window + 1) / 6)


@lru_cache(maxsize=64)
def ewma_weight(half_life: int) -> float:
    """1 - 2 ** (-1 / half_life), by decimal arithmetic so that no platform's pow() enters."""
    with localcontext() as context:
        context.prec = 50
        return float(1 - Decimal(2) ** (Decimal(-1) / Decimal(half_life)))


@dataclass(frozen=True, slots=True)
class Stream:
    """Additive bars of one domain: open, high, low, close (= y) and change (= dy), arrays (n, pairs) in bps.

    ends : last level of each segment (segments, pairs), no rows where closures leave no gap. level, step : what y and
    dy see.
    """

    open: F8
    high: F8
    low: F8
    close: F8
    change: F8
    ends: F8
    level: Support
    step: Support


class Streams:
    """Streams of one panel, each computed when first asked for; arrays (n, pairs), NaN for NULL.

    The panel must begin at a segment start. fits : where estimates are kept, in memory unless given.
    """

    def __init__(self, panel: Panel, calendar: Calendar, anchors: Anchors, fits: Shelf | None = None) -> None:
        if len(panel.grid) and panel.grid.seg_age[0] != 0:
            raise FeatureError(
                f"the panel begins {panel.grid.seg_age[0]} bars into a segment",
                fix="load bars from Calendar.segment_start of the first minute",
            )
        self.panel, self.calendar, self.anchors = panel, calendar, anchors
        self.fits: Shelf = fits or Kept()
        self._tails: dict[int, Streams] = {}
        self._momentum: dict[int, tuple[F8, ...]] = {}
        self._extremes: dict[int, tuple[F8, ...]] = {}

    def tail(self, row: int) -> Streams:
        """Streams of the panel's rows from `row` on, a segment start; the latest two are kept."""
        if row == 0:
            return self
        if row not in self._tails:
            while len(self._tails) > 1:
                self._tails.pop(next(iter(self._tails)), None)
            self._tails[row] = Streams(
                self.panel.slice(row, len(self.panel.grid)), self.calendar, self.anchors, self.fits
            )
        return self._tails[row]

    @cached_property
    def segment(self) -> NDArray[np.int32]:
        """0, 1, 2 ... for the panel's segments. Shape (n,)."""
        return segment_rows(self.panel.grid).astype(np.int32)

    @cached_property
    def _reference(self) -> F8:
        return levels.references(self.panel.open, self.panel.grid.seg_age)

    @cached_property
    def rate_close(self) -> F8:
        """y of the rate stream."""
        return levels.levels(self.panel.close, self._reference)

    @cached_property
    def rate_open(self) -> F8:
        """o of the rate stream, counted like y; `rate_high` and `rate_low` likewise."""
        return levels.levels(self.panel.open, self._reference)

    @cached_property
    def rate_high(self) -> F8:
        return levels.levels(self.panel.high, self._reference)

    @cached_property
    def rate_low(self) -> F8:
        return levels.levels(self.panel.low, self._reference)

    @cached_property
    def rate_change(self) -> F8:
        """dy of the rate stream: since the last price of the segment, for its first bar open to close."""
        return levels.changes(self.panel.close, self._reference, self.panel.grid.seg_age)

    @cached_property
    def rate_ends(self) -> F8:
        """Last level of every segment. Shape (segments, pairs)."""
        count = int(self.segment[-1]) + 1 if len(self.segment) else 0
        return lags.segment_ends(self.rate_close, self.segment, count)

    @cached_property
    def sigma(self) -> F8:
        """EWMA standard deviation of dy through t - 1, half-life 120 bars, bps (RiskMetrics 1996, strictly lagged)."""
        grid = self.panel.grid
        weight = ewma_weight(HALF_LIFE)
        return ewma.ewma_deviation(self.rate_change, grid.seg_age, weight, HALF_LIFE, SIGMA_NEED, SIGMA_BURN)

    def previous_closes(self, window: int) -> tuple[F8, ...]:
        """shift, excess and sample deviation of the W mid closes before t: their mean is shift + excess."""
        if window not in self._momentum:
            age = self.panel.grid.seg_age
            self._momentum[window] = momentum.previous_closes(self.panel.close, age, window, needed(window))
        return self._momentum[window]

    def previous_extremes(self, window: int) -> tuple[F8, ...]:
        """Largest and smallest of the W mid closes before t."""
        if window not in self._extremes:
            age = self.panel.grid.seg_age
            self._extremes[window] = extremes.previous_extremes(self.panel.close, age, window, needed(window))
        return self._extremes[window]

    def raw_bqx(self, window: int) -> F8:
        """b_W(t): W times (mean of the W closes before t / close - 1); positive when the price has fallen."""
        shift, excess, _ = self.previous_closes(window)
        return momentum.momentum(shift, excess, self.panel.close, float(window))

    def oriented(self, window: int, price: F8 | None = None) -> F8:
        """M_W(t) in bps, of the close or of another price of bar t."""
        shift, excess, _ = self.previous_closes(window)
        factor = -1e4 * window / momentum_scale(window)
        return momentum.momentum(shift, excess, self.panel.close if price is None else price, factor)

    @cached_property
    def bqx_close(self) -> F8:
        """y of the bqx stream, M = M_15."""
        return self.oriented(WINDOWS[0])

    @cached_property
    def bqx_open(self) -> F8:
        """M of the bar's open; `bqx_high` and `bqx_low` are M's exact extremes within the minute."""
        return self.oriented(WINDOWS[0], self.panel.open)

    @cached_property
    def bqx_high(self) -> F8:
        return self.oriented(WINDOWS[0], self.panel.high)

    @cached_property
    def bqx_low(self) -> F8:
        return self.oriented(WINDOWS[0], self.panel.low)

    @cached_property
    def bqx_change(self) -> F8:
        """dy of the bqx stream: M(t) - M(t-1) inside the segment."""
        return lags.lag_inside(self.bqx_close, self.panel.grid.seg_age, 1)

    @cached_property
    def _no_ends(self) -> F8:
        return np.empty((0, self.panel.shape[1]))

    def stream(self, domain: Domain) -> Stream:
        """The additive bars of a domain, for families that are written once for both."""
        if domain == "rate":
            bars = (self.rate_open, self.rate_high, self.rate_low, self.rate_close)
            return Stream(*bars, self.rate_change, self.rate_ends, PRICE, PRICE)
        bars = (self.bqx_open, self.bqx_high, self.bqx_low, self.bqx_close)
        seen = momentum_support(WINDOWS[0])
        return Stream(*bars, self.bqx_change, self._no_ends, seen, Lag(seen, 1, "SEG"))
