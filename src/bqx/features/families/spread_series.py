"""spread: how its columns are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.autocorr import lagged_pairs
from bqx.features.kernels.bands import balance
from bqx.features.kernels.divide import FLOOR
from bqx.features.kernels.effective_spread import bounce, neighbours, spreads_of
from bqx.features.kernels.hysteresis import TERCILES, hysteresis
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.levels import BPS
from bqx.features.kernels.line import slopes
from bqx.features.kernels.minute_of_week import weekly_scores
from bqx.features.kernels.moments import centre, standard
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.products import correlations
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.kernels.ticks import tick_signs
from bqx.features.kernels.window_extremes import window_extremes
from bqx.features.streams import Streams
from bqx.features.support import needed
from bqx.market.calendar import WEEK

F8 = NDArray[np.float64]

HOUR, RANKED, LAG = 60, 240, 5
SPIKE = 2.0
STILL = 5e-3
"""A deviation of s (bps) of at most this is a spread of so many ticks, and no other, over a mid that moves: one tick
more or less in an hour makes it 0.007 or more."""


class _Series:
    """Arrays (n, pairs), NaN for NULL, of one panel."""

    def __init__(self, streams: Streams) -> None:
        self.streams, self.panel = streams, streams.panel
        self.age = self.panel.grid.seg_age
        self._extremes: tuple[F8, F8] | None = None

    @cached_property
    def s(self) -> F8:
        """Quoted spread, bps of the mid; negative where venues cross."""
        quotes = self.panel.quotes
        if not quotes:
            return np.full(self.panel.shape, np.nan)
        return BPS * ((quotes["ask_close"] - quotes["bid_close"]) / self.panel.close)

    def lagged(self, x: F8, bars: int) -> F8:
        """The value `bars` ago in the segment."""
        out = np.full(x.shape, np.nan)
        out[bars:] = x[:-bars]
        out[self.age < bars] = np.nan
        return out

    @cached_property
    def _centre(self) -> tuple[F8, F8, F8]:
        return centre(self.s, self.age, HOUR, needed(HOUR), 1)

    @cached_property
    def _before(self) -> tuple[F8, F8, F8]:
        """shift, excess and deviation of the hour before."""
        shift, excess, deviation = (self.lagged(x, 1) for x in self._centre)
        return shift, excess, deviation

    def moving(self, x: F8, deviation: F8) -> F8:
        """x, NULL where the spread stands still."""
        return np.where(deviation > STILL, x, np.nan)

    def mean(self) -> F8:
        return self._centre[0] + self._centre[1]

    def deviation(self) -> F8:
        return self._centre[2]

    def slope(self) -> F8:
        return slopes(self.s, self.age, HOUR, needed(HOUR))

    @cached_property
    def _ends(self) -> tuple[F8, F8]:
        return window_extremes(self.s, self.s, self.age, [HOUR], [needed(HOUR)])[0]

    def largest(self) -> F8:
        return self._ends[0]

    def range(self) -> F8:
        return self._ends[0] - self._ends[1]

    def score(self) -> F8:
        shift, excess, deviation = self._before
        return self.moving(standard(self.s, shift, excess, deviation), deviation)

    def weekly(self) -> F8:
        grid = self.panel.grid
        return weekly_scores(self.s, grid.week, grid.minute_of_week, WEEK, STILL)

    def rank(self) -> F8:
        """Rows of the segment before are out of a window's reach from its last bar on."""
        found = percentile_rank(self.s, RANKED, needed(RANKED))
        found[self.age < RANKED - 1] = np.nan
        return found

    def spikes(self) -> F8:
        shift, excess, _ = self._before
        usual = np.maximum(shift + excess, 0.0)
        flag = np.where(np.isnan(self.s - usual), np.nan, self.s > SPIKE * usual + FLOOR)
        return np.rint(HOUR * balance(flag, self.age, HOUR, needed(HOUR)))

    def change(self) -> F8:
        return lag_inside(self.s, self.age, LAG)

    def realised(self) -> F8:
        """The mid now against the price at which an order in the direction of the last tick was filled."""
        mid = self.panel.close
        then = self.lagged(mid, LAG)
        side = self.lagged(tick_signs(self.streams.rate_change, self.age), LAG)
        return self.lagged(self.s, LAG) + (2.0 * BPS) * (side * ((then - mid) / then))

    def covered(self, window: int) -> F8:
        return ratio(np.abs(self.streams.oriented(window)), self.s)

    def correlation(self, window: int) -> F8:
        size = np.abs(self.streams.bqx_close)
        null = np.isnan(self.s) | np.isnan(size)
        out = np.empty(size.shape)
        a, b = np.where(null, np.nan, self.s), np.where(null, np.nan, size)
        correlations(a, b, self.age, window, needed(window), out)
        return self.moving(out, centre(a, self.age, window, needed(window), 1)[2])

    def regime(self) -> F8:
        rank = percentile_rank(self.s, WEEK, needed(WEEK))
        return hysteresis(rank, self.age, TERCILES, 1)[0]

    def roll(self) -> F8:
        change = self.streams.rate_change
        now, then = np.empty(change.shape), np.empty(change.shape)
        lagged_pairs(change, self.age, 1, now, then)
        return bounce(now, then, self.age, HOUR, needed(HOUR))

    @cached_property
    def _neighbours(self) -> tuple[F8, F8]:
        s = self.streams
        return neighbours(s.rate_high, s.rate_low, s.rate_close, self.panel.fill_run, self.age)

    def high_low(self) -> F8:
        shift, excess, _ = centre(self._neighbours[0], self.age, HOUR, needed(HOUR), 1)
        return np.maximum(shift + excess, 0.0)

    def close_range(self) -> F8:
        shift, excess, _ = centre(self._neighbours[1], self.age, HOUR, needed(HOUR), 1)
        return spreads_of(shift + excess)


QUOTED: Mapping[str, Callable[[_Series], F8]] = {
    "spread_bps": lambda x: x.s,
    "spread_mean_60": _Series.mean,
    "spread_std_60": _Series.deviation,
    "spread_slope_60": _Series.slope,
    "spread_max_60": _Series.largest,
    "spread_range_60": _Series.range,
    "spread_z_60": _Series.score,
    "spread_tod_z": _Series.weekly,
    "spread_pctile_240": _Series.rank,
    "spread_spike_count_60": _Series.spikes,
    "spread_chg_5": _Series.change,
    "realized_spread_5": _Series.realised,
    "bqx_to_spread_15": lambda x: x.covered(15),
    "bqx_to_spread_60": lambda x: x.covered(60),
    "spread_bqx_corr_60": lambda x: x.correlation(60),
    "spread_bqx_corr_240": lambda x: x.correlation(240),
    "spread_regime": _Series.regime,
}
"""Columns of the quoted spread: NULL in a minute without a quote."""

PRICED: Mapping[str, Callable[[_Series], F8]] = {
    "roll_spread_60": _Series.roll,
    "cs_spread_60": _Series.high_low,
    "ar_spread_60": _Series.close_range,
}
"""Columns that need prices only: NULL in a minute without a price."""


def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    series = _Series(streams)
    found = {}
    for name in names:
        quoted = name in QUOTED
        value = (QUOTED if quoted else PRICED)[name](series)
        found[name] = np.where(np.isnan(series.s if quoted else streams.panel.close), np.nan, value)
    return found
