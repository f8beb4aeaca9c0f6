"""Arrays the multiscale columns are made of, each worked out once; (n, pairs), NaN for NULL."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.momentum_series import Momentum
from bqx.features.families.regime_vol import DATASETS as REGIME_VOL
from bqx.features.kernels.lags import lag_across, lag_plain
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.moments import centre, over
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.kernels.scaled import scaled
from bqx.features.kernels.window_extremes import window_extremes
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]

RANKED = 7200
"""Bars among which a volatility is ranked: a trading week."""
LOW, HIGH = 1.0 / 3.0, 2.0 / 3.0
SURE = 2.0


def tercile(rank: F8) -> F8:
    return np.where(np.isnan(rank), np.nan, np.where(rank > LOW, 1.0, 0.0) + np.where(rank > HIGH, 1.0, 0.0))


class Scale:
    """Bars of `every` minutes of one panel and domain."""

    def __init__(self, streams: Streams, domain: Domain, every: int) -> None:
        self.streams, self.domain, self.every, self.stream = streams, domain, every, streams.stream(domain)
        self.age = streams.panel.grid.seg_age

    @cached_property
    def _found(self) -> tuple[F8, ...]:
        s, w = self.stream, self.every
        high, low = window_extremes(s.high, s.low, self.age, [w], [needed(w)])[0]
        levels = (self.streams.segment, s.ends)
        return scaled(s.close, high - s.close, s.close - low, self.age, w, levels)

    def part(self, k: int) -> F8:
        return self._found[k]

    def earlier_change(self) -> F8:
        """y(t-S) - y(t-2S)."""
        y, ends = self.stream.close, self.stream.ends
        if len(ends):
            one, two = (lag_across(y, self.streams.segment, ends, k * self.every) for k in (1, 2))
        else:
            one, two = lag_plain(y, self.every), lag_plain(y, 2 * self.every)
        return two - one

    def mean_gap(self) -> F8:
        """SMA_30 of minutes less SMA_10 of bars."""
        y = self.stream.close
        shift, excess, _ = centre(y, self.age, 30, needed(30), 1)
        return self.part(0) - ((y - shift) - excess)

    def vol_ratio(self) -> F8:
        """ln(sd_60(dy) sqrt(S) / vol_20)."""
        minutes = centre(self.stream.change, self.age, 60, needed(60), 1)[2]
        return logarithm(over(minutes * math.sqrt(self.every), self.part(2)))

    @cached_property
    def _minutes(self) -> F8:
        """lin_t of 30 minutes."""
        return Momentum(self.streams, self.domain, 30).trend(30)

    def agreement(self) -> F8:
        return np.sign(self._minutes) * np.sign(self.part(8))

    def dominance(self) -> F8:
        return np.abs(self.part(8)) - np.abs(self._minutes)

    def divergence(self) -> F8:
        a, b = self._minutes, self.part(8)
        product = a * b
        apart = (product < 0.0) & (np.abs(a) > SURE) & (np.abs(b) > SURE)
        return np.where(np.isnan(product), np.nan, apart)

    def regimes(self) -> F8:
        home = next(h for h in REGIME_VOL if h.domain == self.domain)
        minutes = tercile(home.compute(self.streams, ["vol_pct_60"])["vol_pct_60"])
        bars = tercile(percentile_rank(self.part(2).astype(np.float32), RANKED, needed(RANKED)))
        away = minutes - bars
        return np.where(np.isnan(away), np.nan, away == 0.0)
