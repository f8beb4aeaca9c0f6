"""microstructure: what quotes and tick volume say of trading, 10 columns; an extension.

Bars hold no trades: what needs their prices or an order book (effective spread, price impact, realised spread, depth,
inventory, information share) is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Dataset
from bqx.features.families.extensions.microstructure_reference import reference
from bqx.features.families.spread_series import STILL
from bqx.features.kernels.autocorr import autocorrelation, lagged_pairs, variance_ratio
from bqx.features.kernels.buckets import imbalance
from bqx.features.kernels.deviation import window_mean
from bqx.features.kernels.drift import mean_across
from bqx.features.kernels.effective_spread import bounce
from bqx.features.kernels.flow import bulk_side, log_one_plus
from bqx.features.kernels.levels import BPS
from bqx.features.kernels.moments import centre
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.products import correlations
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.kernels.ticks import tick_signs
from bqx.features.streams import PRICE, SIGMA, Streams
from bqx.features.support import All, Lag, Quote, Support, Volume, Window, needed

F8 = NDArray[np.float64]

W, RATIO, Q = 60, 240, 5
DAY, MONTH, WEEK = 1440, 28_800, 7200
"""MONTH : 20 trade days, from which the size of a bucket is taken."""
BUCKETS = 50
REACH = 3 * DAY
"""Bars in which the buckets must be filled."""

ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})
SPREAD = All((Quote(), PRICE))
TRADED = All((Volume(), PRICE))
FLOW = All((TRADED, SIGMA))
FLAT = "NULL where one of the two series stands still"
STANDS = f"NULL where the spread deviates by at most {STILL} bps"
MOVED = "NULL until the mid has moved in the segment"


def window(of: Support, bars: int = W) -> Window:
    return Window(of, bars, "SEG")


def _columns() -> Iterator[Column]:
    infinite, share = (-np.inf, np.inf), (0.0, 1.0)
    filled = All((FLOW, Window(Volume(), MONTH, "XGAP"), Window(FLOW, REACH, "XGAP")))
    slow = f"NULL where {REACH} bars do not hold {BUCKETS} buckets"
    pairs = window(Lag(SPREAD, 1, "SEG"))
    yield Column("kyle_lambda", "bps/√tick", f"least-squares slope of dy on d sqrt(v), {W} bars; d = sign of the last "
                 "change of mid", window(TRADED), "SEG", bounds=infinite, tags=UNDEFINED,
                 why_tagged=f"{FLAT}; {MOVED}", source="Kyle 1985; Lee & Ready 1991")  # fmt: skip
    yield Column("vpin", "0–1", f"mean of abs(bought - sold) / size over the last {BUCKETS} buckets of volume, filled "
                 f"backwards from t; bought - sold = v (2 Ncdf(dy / sigma) - 1), size = mean of v over {MONTH} bars x "
                 f"{DAY} / {BUCKETS}", filled, "XGAP", bounds=(0.0, 1.0 + 1e-9), tags=UNDEFINED, why_tagged=slow,
                 source="Easley, López de Prado & O'Hara 2012")  # fmt: skip
    yield Column("order_flow_toxicity", "0–1", f"percentile rank of vpin among its values of {WEEK} bars",
                 All((filled, Window(filled, WEEK, "XGAP"))), "XGAP", bounds=share, tags=UNDEFINED,
                 why_tagged=slow)  # fmt: skip
    yield Column("trade_clustering", "−1–1", f"correlation of u(t) and u(t-1) over {W} pairs, u = ln(1 + v)",
                 window(Lag(Volume(), 1, "SEG")), "SEG", bounds=(-1.0, 1.0), tags=UNDEFINED,
                 why_tagged=FLAT)  # fmt: skip
    yield Column("tick_rule", "−1–1", f"mean over {W} bars of the sign of the last change of mid", window(PRICE), "SEG",
                 bounds=(-1.0, 1.0), tags=ZERO_OK | UNDEFINED, why_tagged=f"as many rises as falls; {MOVED}",
                 source="Lee & Ready 1991")  # fmt: skip
    yield Column("quoted_spread_stability", "0–1", f"1 / (1 + sample sd / mean of s over {W} bars), s = 10^4 (ask - "
                 "bid) / mid", window(SPREAD), "SEG", bounds=share, tags=UNDEFINED,
                 why_tagged="NULL where the mean is not above 0")  # fmt: skip
    yield Column("price_resilience", "–", f"- least-squares slope of s(t) - s(t-1) on s(t-1), {W} pairs", pairs, "SEG",
                 bounds=infinite, tags=UNDEFINED, why_tagged=STANDS)  # fmt: skip
    yield Column("market_efficiency", "–", f"abs(VR({Q}) - 1), VR the variance ratio of {RATIO} changes",
                 window(PRICE, RATIO), "SEG", bounds=(0.0, np.inf), tags=UNDEFINED,
                 why_tagged="NULL where all changes are equal", source="Lo & MacKinlay 1988")  # fmt: skip
    yield Column("microstructure_noise", "bps", f"sqrt(max(0, - cov(dy(t), dy(t-1)))) over {W} pairs",
                 window(Lag(PRICE, 1, "SEG")), "SEG", bounds=(0.0, np.inf), tags=ZERO_OK,
                 why_tagged="0 where the covariance is not negative", source="Roll 1984")  # fmt: skip
    yield Column("adverse_selection", "–", f"least-squares slope of s(t) - s(t-1) on abs(dy(t)), {W} pairs", pairs,
                 "SEG", bounds=infinite, tags=UNDEFINED, why_tagged=f"{FLAT}; {STANDS}")  # fmt: skip


class _Market:
    """Arrays (n, pairs) of one panel."""

    def __init__(self, streams: Streams) -> None:
        self.streams, self.panel = streams, streams.panel
        self.age, self.change = self.panel.grid.seg_age, streams.rate_change

    @cached_property
    def s(self) -> F8:
        quotes = self.panel.quotes
        if not quotes:
            return np.full(self.panel.shape, np.nan)
        return BPS * ((quotes["ask_close"] - quotes["bid_close"]) / self.panel.close)

    @cached_property
    def _spreads(self) -> tuple[F8, F8]:
        """s(t) and s(t-1), both or none."""
        now, then = np.empty(self.s.shape), np.empty(self.s.shape)
        lagged_pairs(self.s, self.age, 1, now, then)
        return now, then

    @cached_property
    def _side(self) -> F8:
        """In minutes with a price."""
        return np.where(np.isnan(self.change), np.nan, tick_signs(self.change, self.age))

    def slope(self, a: F8, b: F8, least: float = 0.0) -> F8:
        """Of the line of a on b; NULL where b deviates by at most `least`."""
        null, out = np.isnan(a) | np.isnan(b), np.empty(a.shape)
        a, b = np.where(null, np.nan, a), np.where(null, np.nan, b)
        correlations(a, b, self.age, W, needed(W), out)
        above, below = (centre(x, self.age, W, needed(W), 1)[2] for x in (a, b))
        return np.where(below > least, ratio(out * above, below), np.nan)

    def kyle_lambda(self) -> F8:
        return self.slope(self.change, self._side * np.sqrt(self.panel.volume))

    @cached_property
    def _vpin(self) -> F8:
        v = self.panel.volume
        side = bulk_side(self.change, self.streams.sigma)
        size = mean_across(v, self.age, MONTH, needed(MONTH)) * (DAY / BUCKETS)
        found = imbalance(v, side, size, REACH, BUCKETS)
        return np.where(np.isnan(side) | np.isnan(v), np.nan, found)

    def vpin(self) -> F8:
        return self._vpin

    def order_flow_toxicity(self) -> F8:
        return percentile_rank(self._vpin.astype(np.float32), WEEK, needed(WEEK))

    def trade_clustering(self) -> F8:
        return autocorrelation(log_one_plus(self.panel.volume), self.age, 1, W, needed(W))

    def tick_rule(self) -> F8:
        return window_mean(self._side, self.age, W, needed(W))

    def quoted_spread_stability(self) -> F8:
        shift, excess, deviation = centre(self.s, self.age, W, needed(W), 1)
        return 1.0 / (1.0 + ratio(deviation, shift + excess))

    def price_resilience(self) -> F8:
        now, then = self._spreads
        return -self.slope(now - then, then, STILL)

    def market_efficiency(self) -> F8:
        need = (needed(RATIO), needed(RATIO - Q + 1))
        return np.abs(variance_ratio(self.change, self.age, RATIO, Q, need) - 1.0)

    def microstructure_noise(self) -> F8:
        now, then = np.empty(self.change.shape), np.empty(self.change.shape)
        lagged_pairs(self.change, self.age, 1, now, then)
        return 0.5 * bounce(now, then, self.age, W, needed(W))

    def adverse_selection(self) -> F8:
        now, then = self._spreads
        moved = centre(now, self.age, W, needed(W), 1)[2] > STILL
        return np.where(moved, self.slope(now - then, np.abs(self.change)), np.nan)


MEASURES: Mapping[str, Callable[[_Market], F8]] = {
    "kyle_lambda": _Market.kyle_lambda,
    "vpin": _Market.vpin,
    "order_flow_toxicity": _Market.order_flow_toxicity,
    "trade_clustering": _Market.trade_clustering,
    "tick_rule": _Market.tick_rule,
    "quoted_spread_stability": _Market.quoted_spread_stability,
    "price_resilience": _Market.price_resilience,
    "market_efficiency": _Market.market_efficiency,
    "microstructure_noise": _Market.microstructure_noise,
    "adverse_selection": _Market.adverse_selection,
}


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    market = _Market(streams)
    return {name: MEASURES[name](market) for name in names}


DATASET = Dataset(
    family="microstructure",
    domain="rate",
    columns=tuple(_columns()),
    compute=_compute,
    reference=reference,
    stage=EXTENSION,
    counted=False,
    summary="Price impact, order flow, spread dynamics and noise, as far as quotes and tick volume tell.",
    uses=frozenset({"quotes", "volume"}),
)
