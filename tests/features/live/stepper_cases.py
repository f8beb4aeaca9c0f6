"""A call of every kernel that has a stepper, on short segments with everything that is hard in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.group_correlation import groups_of
from bqx.features.kernels.hidden_markov import arrange
from bqx.features.kernels.jump_volatility import JUMP_MEASURES, jump_terms
from bqx.features.kernels.lags import segment_ends
from bqx.features.kernels.patterns import patterns
from bqx.features.kernels.range_volatility import RANGE_MEASURES, range_terms
from bqx.features.live.block import Block
from bqx.market.calendar import Grid

F8 = NDArray[np.float64]
LENGTHS = (1900, 260, 1100, 340, 300, 300, 280, 420, 300)
"""Bars of the segments: the first and the third are longer than the interval at which sums begin anew."""
PAIRS = 3
FAR = (600, 600, 10**9)
"""Bars from the last segment's start to those of segments that are ahead, and to one that never comes."""


@dataclass(frozen=True)
class Bars:
    """Levels counted from each segment's zero, with ties, holes, an hour without a value, a lane that opens late, one
    that stands still; arrays (n, PAIRS)."""

    age: NDArray[np.int32]
    segment: NDArray[np.int32]
    starts: NDArray[np.int64]
    close: F8
    high: F8
    low: F8
    open: F8
    change: F8
    volume: F8
    fill_run: NDArray[np.int32]
    ends: F8
    none: F8

    @property
    def week(self) -> NDArray[np.int32]:
        return (2800 + self.segment).astype(np.int32)

    @property
    def opens(self) -> NDArray[np.int64]:
        """Starts of all segments, those ahead too."""
        ahead = [int(self.starts[-1]) + LENGTHS[-1] + far for far in (0, *FAR)]
        return np.array([*self.starts.tolist(), *ahead], dtype=np.int64)


def make_bars(seed: int = 7) -> Bars:
    rng = np.random.default_rng(seed)
    n = sum(LENGTHS)
    age = np.concatenate([np.arange(k) for k in LENGTHS]).astype(np.int32)
    segment = np.repeat(np.arange(len(LENGTHS)), LENGTHS).astype(np.int32)
    step = np.round(rng.normal(size=(n, PAIRS)) * 2.0, 1)
    step[500:800, 2] = 0.0
    level = np.concatenate([np.cumsum(step[segment == k], axis=0) for k in range(len(LENGTHS))])
    hole = rng.random((n, PAIRS)) < 0.01
    hole[700:770, 0], hole[2160:2200, 1], hole[1890:1900, 1] = True, True, True
    close = np.where(hole, np.nan, level)
    change = np.where(np.isnan(close), np.nan, step)
    high, low = close + np.round(rng.random((n, PAIRS)), 1), close - np.round(rng.random((n, PAIRS)), 1)
    volume = np.where(hole, np.nan, rng.integers(0, 40, size=(n, PAIRS)).astype(np.float64))
    fill = np.where(rng.random((n, PAIRS)) < 0.02, 1, 0).astype(np.int32)
    ends = segment_ends(close, segment, len(LENGTHS))
    starts = np.flatnonzero(age == 0).astype(np.int64)
    opening = low + np.round((high - low) * 0.5, 1)
    return Bars(age, segment, starts, close, high, low, opening, change, volume, fill, ends, np.empty((0, PAIRS)))


def make_block(bars: Bars, start: int, stop: int) -> Block:
    """The rows start .. stop - 1, without bars: steppers look at the grid and their arguments."""
    zeros = np.zeros(stop - start, dtype=np.int32)
    grid = Grid(np.arange(start, stop, dtype=np.int64), zeros, zeros, bars.segment[start:stop], bars.age[start:stop])
    number = int(bars.segment[start])
    panel: Any = SimpleNamespace(grid=grid)
    calendar: Any = None
    return Block(panel, calendar, start, number, bars.opens[number:])


def _models(bars: Bars) -> F8:
    mean = np.tile(np.array([0.0, 1.0, 2.0]), (1, PAIRS, 1))
    move = np.tile(np.full((3, 3), 0.1) + 0.7 * np.eye(3), (1, PAIRS, 1, 1))
    return arrange(mean, -mean, np.ones((1, PAIRS, 3)), np.ones((1, PAIRS, 3)), move)


def _groups() -> Any:
    signs = np.ones((PAIRS, PAIRS), dtype=np.int8) - np.eye(PAIRS, dtype=np.int8)
    found = groups_of(signs, np.ones(PAIRS, dtype=bool))
    return (found, found, found)


def _out(bars: Bars) -> F8:
    return np.full(bars.close.shape, -7.0)


TERCILES = (-0.5, -0.2, 0.2, 0.5)


def _codes(bars: Bars) -> F8:
    """Whole numbers 0 .. 26."""
    return np.mod(np.rint(np.abs(bars.change) * 10.0), 27.0)


CASES: dict[str, Callable[[Bars], tuple[Any, ...]]] = {
    "adjustment.adjustment": lambda b: (b.close, b.high - 0.5 * b.close, b.age, 200, 150),
    "adjustment.nearer": lambda b: (b.close, b.age, 20),
    "ages.event_age": lambda b: (b.change, b.age, 3.0, 60, 200),
    "ages.side_age": lambda b: (b.high, b.close, b.age, 0.3, 60, 200),
    "autocorr.autocorrelation": lambda b: (b.change, b.age, 5, 120, 100),
    "autocorr.lagged_pairs": lambda b: (b.change, b.age, 3, _out(b), _out(b)),
    "autocorr.variance_ratio": lambda b: (b.change, b.age, 120, 5, (100, 95)),
    "autoregression.half_life_across": lambda b: (b.change + 0.5 * b.high, b.age, 200, 150),
    "autoregression.standardised_across": lambda b: (b.change, b.age, 200, 150),
    "bands.balance": lambda b: (np.sign(b.change), b.age, 60, 50),
    "bands.mean_change": lambda b: (b.close, b.change, 5),
    "before.score_before": lambda b: (b.change, b.age, 200, 150),
    "breakout.breakout": lambda b: (b.close, b.high, b.low, np.abs(b.change) + 1.0),
    "change_points.change_points": lambda b: (
        b.change, b.change * 0.0 + 4.0, b.age, np.ones((len(LENGTHS) + 1 + len(FAR), PAIRS), dtype=bool), (0.01, 0.002),
        50, 200,
    ),
    "buckets.imbalance": lambda b: (b.volume, np.sign(b.change), np.full(b.volume.shape, 200.0), 300, 10),
    "channel.channel_index": lambda b: (b.close, b.age, 50, 45),
    "cusum.cusum": lambda b: (b.change, b.age, 0.5, 5.0, 100, 101, 200),
    "deviation.standardised": lambda b: (b.close, b.age, 120, 100),
    "deviation.window_mean": lambda b: (b.close, b.age, 60, 50),
    "drift.drift": lambda b: (b.close, 60, 20),
    "drift.mean_across": lambda b: (b.close, b.age, 300, 200),
    "drift.recent_share": lambda b: ((b.change > 0.0).astype(np.float64), b.age, 20),
    "drift.standing": lambda b: (b.volume, b.volume + 1.0, b.age),
    "effective_spread.bounce": lambda b: (b.change, b.change * 0.5, b.age, 60, 50),
    "effective_spread.neighbours": lambda b: (b.high, b.low, b.close, b.fill_run, b.age),
    "ewma.ewma_deviation": lambda b: (b.change, b.age, 0.02, 30, 60, 200),
    "extremes.previous_extremes": lambda b: (b.close, b.age, 15, 15),
    "flow.signed_volume": lambda b: (b.change, b.volume, b.age),
    "fluctuation.fluctuation_exponents": lambda b: (
        b.close, b.age, b.segment, b.ends, (60, 120, 300), (54, 108, 270), (True, True, False),
    ),
    "garch.garch": lambda b: (
        b.change, np.tile(np.array([0.1, 0.05, 0.9, 4.0]), (1, PAIRS, 1)),
        np.where(b.segment > 0, 0, -1).astype(np.int32), b.age == 0,
    ),
    "group_correlation.group_correlations": lambda b: (b.change, b.age, 120, 100, _groups()),
    "hac.slope_t": lambda b: (b.close, b.age, 200, 150, 4, True, (b.segment, b.ends)),
    "hidden_markov.filtered": lambda b: (
        b.change, -b.change, _models(b), np.where(b.segment > 0, 0, -1).astype(np.int32), b.age,
        np.arange(len(b.age)) % 5 == 4, 200, 12, 60,
    ),
    "hysteresis.hysteresis": lambda b: (b.change / 4.0, b.age, TERCILES, 1, 150, 100, 200),
    "jump_volatility.jump_measures": lambda b: (
        jump_terms(b.change, b.close, b.age), b.age, 60, 50, frozenset(range(JUMP_MEASURES)),
    ),
    "jump_volatility.jump_terms": lambda b: (b.change, b.close, b.age),
    "kendall.kendall_taus": lambda b: (
        b.close, b.age, b.segment, b.ends, (60, 120, 300), (54, 108, 270), (True, True, False),
    ),
    "lags.lag_across": lambda b: (b.close, b.segment, b.ends, 400),
    "lags.lag_inside": lambda b: (b.close, b.age, 15),
    "lags.lag_plain": lambda b: (b.close, 400),
    "levels.changes": lambda b: (np.exp(b.close / 1e4), np.ones(b.close.shape), b.age),
    "levels.references": lambda b: (np.exp(b.close / 1e4), b.age),
    "lines.line": lambda b: (b.close, b.age, 60, 54, False),
    "lines.slope": lambda b: (b.close, b.age, 300, 270, True, (b.segment, b.ends)),
    "loops.carried": lambda b: (b.close, b.fill_run, b.age, 5),
    "market_model.slopes_across": lambda b: (b.change, b.change + b.high, b.age, 200, 150),
    "memory.autocorrelation_across": lambda b: (b.change, b.age, 1, 300, 200),
    "minute_of_week.weekly_deviations": lambda b: (b.change, b.week, b.age, 7200),
    "minute_of_week.weekly_scores": lambda b: (b.change, b.week, b.age, 7200),
    "moments.centre": lambda b: (b.close, b.age, 60, 54, 1),
    "moments.shape": lambda b: (b.change, b.age, 60, 54, True, True),
    "momentum.previous_closes": lambda b: (np.exp(b.close / 1e4), b.age, 30, 27),
    "oscillators.mean_of_three": lambda b: (b.close,),
    "panel_correlation.panel_correlation": lambda b: (b.change, b.age, 120, 108, 2, 15),
    "panel_ranks.rank_agreement": lambda b: (b.close.astype(np.float32), b.age, 15, 3),
    "patterns.patterns": lambda b: (b.close, b.age),
    "patterns.permutation_entropy": lambda b: (
        patterns(b.close, b.age), b.age, 60, 54, np.zeros(b.close.shape, dtype=np.bool_),
    ),
    "patterns.standstill": lambda b: (b.close, b.age, 62),
    "peaks.peak_age": lambda b: (b.close, 60),
    "places.places": lambda b: (b.close, b.high, b.low, b.age, {5: 5, 90: 81}, {14: 14, 90: 81}),
    "products.correlations": lambda b: (b.change, b.change * b.change, b.age, 60, 54, _out(b)),
    "quadratic.parabola": lambda b: (b.close, b.age, 60, 54),
    "memory.correlations_across": lambda b: (b.change, b.change * b.change, b.age, 200, 150),
    "causation.improvement": lambda b: (b.close, b.change, 15, 16, 12),
    "causation.transfer_entropy": lambda b: (_codes(b), 240, 200),
    "scaled.scaled": lambda b: (b.close, b.high - b.close, b.close - b.low, b.age, 10, (b.segment, b.ends)),
    "parabola_terms.parabola_terms": lambda b: (b.close, b.age, 200, 150, 4, True, (b.segment, b.ends)),
    "quantiles.order_statistics": lambda b: (b.change, b.age, 60, 54, np.array([5, 50, 75], dtype=np.int64), True),
    "range_volatility.range_measures": lambda b: (
        range_terms((b.open, b.high, b.low, b.close), b.fill_run, b.age), b.age, 60, 50,
        frozenset(range(RANGE_MEASURES)),
    ),
    "range_volatility.range_terms": lambda b: ((b.open, b.high, b.low, b.close), b.fill_run, b.age),
    "ranges.movements": lambda b: (b.high, b.low, b.close, b.age),
    "ranks.percentile_rank": lambda b: (b.close.astype(np.float32), 240, 216),
    "reversion.half_life": lambda b: (b.close, b.age, b.segment, b.ends, 300, (270.0, 270.0), False),
    "robust_ratio.robust_ratio": lambda b: (b.change, b.age, 120, 12, 108.0, True),
    "runs.signs": lambda b: (b.change, b.age, 30, 27),
    "scores.scores_across": lambda b: (b.close, b.age, 300, 200),
    "singular.components": lambda b: (b.close, b.age),
    "smooth.smooth": lambda b: (b.close, b.age, b.segment, b.ends, 0.1, 20, 60, 200),
    "spaced.bend": lambda b: (b.close, b.age, 20),
    "spaced.spaced_deviation": lambda b: (b.close, b.age, 5, 17, 0.5),
    "spectrum.spectra": lambda b: (b.change, b.age, 116),
    "spread.deviation_across": lambda b: (b.close, b.age, 300, 200),
    "squares.root_sum_of_squares": lambda b: (b.change, b.age, 60, 54, True),
    "swings.last_swing": lambda b: (b.high, b.high, _top(b), b.age, b.segment, b.ends, 10, 300),
    "ticks.tick_signs": lambda b: (b.change, b.age),
    "wavelets.overlap": lambda b: (b.change, b.age),
    "weighted.weighted_mean": lambda b: (b.close, b.volume, b.age, 60, 54),
    "wilder.directional": lambda b: (b.high - b.low, np.abs(b.change), 0.5 * np.abs(b.change), b.age, 14, 60, 200),
    "wilder.relative_strength": lambda b: (b.change, b.age, 14, 60, 200),
    "window_extremes.window_extremes": lambda b: (b.high, b.low, b.age, [5, 60], [5, 54]),
}  # fmt: skip
"""The arguments of a call by kernel."""

FILLED = {"autocorr.lagged_pairs": (3, 4), "products.correlations": (5,)}
"""Arguments that a kernel fills in place of returning its answer."""

VARIANTS: dict[str, Callable[[Bars], tuple[Any, ...]]] = {
    "singular.components": lambda b: (b.close, b.age),
    "smooth.smooth": lambda b: (b.change, b.age, b.segment, b.none, 0.05, 20, 60, 200),
    "lines.slope": lambda b: (np.abs(b.change), b.age, 300, 270, True),
    "hac.slope_t": lambda b: (b.change, b.age, 60, 54, 3, False),
    "parabola_terms.parabola_terms": lambda b: (b.change, b.age, 60, 54, 3, False),
    "reversion.half_life": lambda b: (b.close, b.age, b.segment, b.none, 60, (54.0, 54.0), True),
    "robust_ratio.robust_ratio": lambda b: (b.change, b.age, 300, 30, 270.0, False),
    "ranks.percentile_rank": lambda b: (b.volume, 120, 100),
    "swings.last_swing": lambda b: (b.high, b.high, _top(b), b.age, b.segment, b.none, 10, 300),
    "kendall.kendall_taus": lambda b: (b.change, b.age, b.segment, b.none, (60, 300), (54, 270), (True, False)),
}
"""Other ways in which families call some of them."""


def _top(bars: Bars) -> F8:
    """Largest high of the last 10 rows, NaN unless all of them are there and in one segment."""
    out = np.full(bars.high.shape, np.nan)
    for r in range(len(out)):
        if bars.age[r] >= 9:
            out[r] = bars.high[r - 9 : r + 1].max(axis=0)
    return out
