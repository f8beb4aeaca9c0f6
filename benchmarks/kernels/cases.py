"""The registry: a quantity, our kernel, the others', its definition. Adding one is one entry."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import bottleneck as bn
import numbagg as nb
import numpy as np
import talib
from hmmlearn import _hmmc

from benchmarks.kernels import exact
from benchmarks.kernels.case import Case
from bqx.features.kernels import (
    bands,
    change_points,
    channel,
    deviation,
    ewma,
    extremes,
    hidden_markov,
    lags,
    levels,
    lines,
    moments,
    momentum,
    oscillators,
    patterns,
    places,
    products,
    quadratic,
    quantiles,
    range_volatility,
    ranges,
    ranks,
    smooth,
    spread,
    wilder,
    window_extremes,
)  # fmt: skip
from bqx.features.kernels.autocorr import autocorrelation, variance_ratio
from bqx.features.streams import HALF_LIFE, SIGMA_BURN, SIGMA_NEED, ewma_weight
from bqx.features.support import needed

SAMPLE = sqrt(480 / 479)
ALPHA = ewma_weight(HALF_LIFE)
PERCENTS = (5, 25, 50, 75, 95)
FIVE = np.array(PERCENTS, dtype=np.int64)
STAY = np.array([[0.95, 0.03, 0.02], [0.04, 0.9, 0.06], [0.02, 0.08, 0.9]])
TREND, PLACE = "RSI, MACD, ATR, ADX, CCI", "Bollinger, Stochastic, Williams"
PRICES = ("returns", "spike")  # a logarithm needs a price


def _later(x: Any) -> Any:
    return np.concatenate(([np.nan], x[:-1]))


def _ema(b: Any, x: Any, n: int, ends: Any) -> Any:
    return smooth.smooth(x, b.age, b.segment, ends, 2.0 / (n + 1), n, 5 * n, 10 * n)


def _wilder(b: Any, x: Any, n: int) -> Any:
    return smooth.smooth(x, b.age, b.segment, b.none, 1.0 / n, n, 10 * n, 20 * n)


def _macd(b: Any) -> Any:
    line = _ema(b, b.y, 12, b.ends) - _ema(b, b.y, 26, b.ends)
    signal = _ema(b, line, 9, b.none)
    return line, signal, line - signal


def _adx(b: Any) -> Any:
    rising, falling, index = wilder.directional(*ranges.movements(b.high, b.low, b.y, b.age), b.age, 14, 140, 280)
    return _wilder(b, index, 14), rising, falling


def _extremes(b: Any, n: int) -> Any:
    return window_extremes.window_extremes(b.high, b.low, b.age, (n,), (needed(n),))[0]


def _stochastic(b: Any) -> Any:
    k = oscillators.mean_of_three(places.places(b.y, b.high, b.low, b.age, {14: 14}, {})[0][14])
    return k, oscillators.mean_of_three(k)


def _williams(b: Any) -> Any:
    return places.places(b.y, b.high, b.low, b.age, {}, {14: 14})[1][14]


def _bands(b: Any) -> Any:
    shift, excess, sd = moments.centre(b.y, b.age, 20, 20, 0)
    mean = shift + excess
    return mean + 2.0 * sd, mean, mean - 2.0 * sd


def _percent(b: Any) -> Any:
    return bands.place_between(b.y, *moments.centre(b.y, b.age, 20, 20, 0))


def _between(x: Any, upper: Any, _: Any, lower: Any) -> Any:
    return (x - lower) / (upper - lower)


def _frame_bands(x: Any, window: Any) -> Any:
    mean, sd = window.mean(), window.std(ddof=0)
    return mean + 2.0 * sd, mean, mean - 2.0 * sd


def _chain_model(b: Any) -> Any:
    """A model of three states for x = y = dy, the same for every pair."""
    states, (rows, pairs) = (1.0, 2.0, 0.5), b.y.shape
    mean, variance = np.zeros((1, pairs, 3)), np.tile([[states]], (1, pairs, 1)) ** 2
    move = np.tile(STAY, (1, pairs, 1, 1))
    return hidden_markov.arrange(mean, mean, variance, variance, move), np.zeros(rows, dtype=np.int32)


def _chain(b: Any) -> Any:
    models, which = _chain_model(b)
    everywhere = np.ones(len(b.y), dtype=bool)
    return hidden_markov.filtered(b.dy, b.dy, models, which, b.age, everywhere, 0, 1, 1440)


def _hmmlearn(v: Any) -> Any:
    """Densities by numpy, the recursion by hmmlearn's compiled pass."""
    x = np.nan_to_num(v.dy)
    density = np.exp(-(x[:, None] ** 2) / np.array([1.0, 4.0, 0.25])) / (2 * np.pi * np.array([1.0, 4.0, 0.25]))
    return _hmmc.forward_scaling(np.full(3, 1 / 3) @ STAY, STAY, density)


def _ranges(b: Any) -> Any:
    terms = range_volatility.range_terms((b.open, b.high, b.low, b.y), np.zeros(b.y.shape, dtype=np.int32), b.age)
    return range_volatility.range_measures(terms, b.age, 60, needed(60), frozenset(range(4)))


def _frame_ranges(v: Any) -> Any:
    """Parkinson, Garman & Klass, Rogers & Satchell, Yang & Zhang of log prices, as pandas users write them."""
    o, h, low, c = v.pd.open, v.pd.high, v.pd.low, v.pd.y
    hl, co, oc = h - low, c - o, o - c.shift(1)
    rs = (h - c) * (h - o) + (low - c) * (low - o)
    k = 0.34 / (1.34 + 61 / 59)
    satchell = rs.rolling(60).mean()
    yang = oc.rolling(60).var() + k * co.rolling(60).var() + (1 - k) * satchell
    parkinson = (hl**2 / (4 * log(2))).rolling(60).mean()
    garman = (0.5 * hl**2 - (2 * log(2) - 1) * co**2).rolling(60).mean()
    return parkinson**0.5, garman**0.5, satchell**0.5, yang**0.5


def _change_points(b: Any) -> Any:
    variance = np.ones(b.y.shape)
    wanted = np.ones((int(b.segment[-1]) + 1, b.y.shape[1]), dtype=bool)
    return change_points.change_points(b.dy, variance, b.age, wanted, (1 / 250, 1 / 1000), 1, 0)


CASES = (
    Case("Lags and logarithms", "y(t) - y(t-60)", 1, lambda b: lags.lag_inside(b.y, b.age, 60), {
        "TA-Lib": lambda v: talib.MOM(v.y, 60), "polars": lambda v: v.pl.y.diff(60),
        "pandas": lambda v: v.pd.y.diff(60),
    }, exact.lag(60)),
    Case("Lags and logarithms", "log level", 1, lambda b: levels.levels(b.price, b.reference), {
        "numpy": lambda v: np.log(v.price / v.first) * 1e4, "polars": lambda v: (v.pl.price / v.first).log() * 1e4,
    }, exact.log_level, skip=PRICES, note="numpy's logarithm differs between CPUs, ours does not"),
    Case("Exponential", "EMA 26", 1, lambda b: _ema(b, b.y, 26, b.ends), {
        "TA-Lib": lambda v: talib.EMA(v.y, 26), "polars": lambda v: v.pl.y.ewm_mean(span=26, adjust=False),
        "pandas": lambda v: v.pd.y.ewm(span=26, adjust=False).mean(),
        "numbagg": lambda v: nb.move_exp_nanmean(v.y, alpha=2 / 27),
    }, exact.ema(26)),
    Case("Exponential", "EWMA deviation, half-life 120, of the bars before", 1,
         lambda b: ewma.ewma_deviation(b.dy, b.age, ALPHA, HALF_LIFE, SIGMA_NEED, SIGMA_BURN), {
        "polars": lambda v: (v.pl.dy**2).ewm_mean(alpha=ALPHA, adjust=False).sqrt().shift(1),
        "pandas": lambda v: ((v.pd.dy**2).ewm(alpha=ALPHA, adjust=False).mean() ** 0.5).shift(1),
        "numbagg": lambda v: _later(np.sqrt(nb.move_exp_nanmean(v.dy * v.dy, alpha=ALPHA))),
    }, exact.ewma(ALPHA, HALF_LIFE), note="ours starts anew 2,400 bars before each week"),
    Case("Mean and deviation", "mean and deviation of the 15 closes before", 2,
         lambda b: momentum.previous_closes(b.y, b.age, 15, 15), {
        "TA-Lib": lambda v: (talib.SMA(v.y, 15), talib.STDDEV(v.y, 15) * sqrt(15 / 14)),
        "polars": lambda v: (v.pl.y.rolling_mean(15), v.pl.y.rolling_std(15)),
        "pandas": lambda v: (v.pd.y.rolling(15).mean(), v.pd.y.rolling(15).std()),
        "bottleneck": lambda v: (bn.move_mean(v.y, 15), bn.move_std(v.y, 15, ddof=1)),
        "numbagg": lambda v: (nb.move_mean(v.y, window=15), nb.move_std(v.y, window=15)),
    }, exact.mean_deviation(15), lambda o: (_back(o[0] + o[1]), _back(o[2])), ("mean", "std")),
    Case("Mean and deviation", "deviation of 480", 1, lambda b: spread.deviation_across(b.y, b.age, 480, needed(480)), {
        "TA-Lib": lambda v: talib.STDDEV(v.y, 480) * SAMPLE, "polars": lambda v: v.pl.y.rolling_std(480),
        "pandas": lambda v: v.pd.y.rolling(480).std(), "bottleneck": lambda v: bn.move_std(v.y, 480, ddof=1),
        "numbagg": lambda v: nb.move_std(v.y, window=480),
    }, exact.deviation(480)),
    Case("Mean and deviation", "z-score of 120", 1, lambda b: deviation.standardised(b.y, b.age, 120, needed(120)), {
        "TA-Lib": lambda v: (v.y - talib.SMA(v.y, 120)) / (talib.STDDEV(v.y, 120) * sqrt(120 / 119)),
        "polars": lambda v: (v.pl.y - v.pl.y.rolling_mean(120)) / v.pl.y.rolling_std(120),
        "pandas": lambda v: (v.pd.y - v.pd.y.rolling(120).mean()) / v.pd.y.rolling(120).std(),
        "bottleneck": lambda v: (v.y - bn.move_mean(v.y, 120)) / bn.move_std(v.y, 120, ddof=1),
        "numbagg": lambda v: (v.y - nb.move_mean(v.y, window=120)) / nb.move_std(v.y, window=120),
    }, exact.z_score(120)),
    Case("Moments", "mean, deviation, skew, kurtosis of 60", 4,
         lambda b: moments.shape(b.y, b.age, 60, needed(60), True, False)[:4], {
        "polars": lambda v: (v.pl.y.rolling_mean(60), v.pl.y.rolling_std(60), v.pl.y.rolling_skew(60, bias=False),
                             v.pl.y.rolling_kurtosis(60, bias=False)),
        "pandas": lambda v: (v.pd.y.rolling(60).mean(), v.pd.y.rolling(60).std(), v.pd.y.rolling(60).skew(),
                             v.pd.y.rolling(60).kurt()),
    }, exact.shape(60), outputs=("mean", "std", "skew", "kurt")),
    Case("Correlation", "correlation of 120 with the bar before", 1,
         lambda b: autocorrelation(b.y, b.age, 1, 120, needed(120)), {
        "TA-Lib": lambda v: talib.CORREL(v.y[1:], v.y[:-1], 120),
        "pandas": lambda v: v.pd.y.rolling(120).corr(v.pd.y.shift(1)),
        "numbagg": lambda v: nb.move_corr(v.y[1:], v.y[:-1], window=120),
    }, exact.correlation(120, 1)),
    Case("Correlation", "correlation of 60 of two series", 1, lambda b: _two(b), {
        "TA-Lib": lambda v: talib.CORREL(v.high, v.dy, 60),
        "pandas": lambda v: v.pd.high.rolling(60).corr(v.pd.dy),
        "numbagg": lambda v: nb.move_corr(v.high, v.dy, window=60),
    }, note="of two unlike series, as 378 pairs of 28 would be"),
    Case("Lines and parabolas", "slope of the line through 60", 1,
         lambda b: lines.slope(b.y, b.age, 60, needed(60), False), {
        "TA-Lib": lambda v: talib.LINEARREG_SLOPE(v.y, 60),
    }, exact.slope(60), note="ours has R^2 at hand, and lets bars be missing"),
    Case("Lines and parabolas", "curvature, gain in R^2, vertex, residual of 60", 4,
         lambda b: quadratic.parabola(b.y, b.age, 60, needed(60)), {}),
    Case("Ranges of bars", "Parkinson, Garman-Klass, Rogers-Satchell, Yang-Zhang of 60", 4, _ranges, {
        "pandas": _frame_ranges,
    }),
    Case("Extremes", "highest and lowest of the 60 closes before", 2,
         lambda b: extremes.previous_extremes(b.y, b.age, 60, needed(60)), {
        "TA-Lib": lambda v: talib.MINMAX(v.y, 60)[::-1],
        "polars": lambda v: (v.pl.y.rolling_max(60), v.pl.y.rolling_min(60)),
        "pandas": lambda v: (v.pd.y.rolling(60).max(), v.pd.y.rolling(60).min()),
        "bottleneck": lambda v: (bn.move_max(v.y, 60), bn.move_min(v.y, 60)),
    }),
    Case("Extremes", "highest high and lowest low of 240", 2, lambda b: _extremes(b, 240), {
        "TA-Lib": lambda v: (talib.MAX(v.high, 240), talib.MIN(v.low, 240)),
        "polars": lambda v: (v.pl.high.rolling_max(240), v.pl.low.rolling_min(240)),
        "pandas": lambda v: (v.pd.high.rolling(240).max(), v.pd.low.rolling(240).min()),
        "bottleneck": lambda v: (bn.move_max(v.high, 240), bn.move_min(v.low, 240)),
    }),
    Case("Quantiles and ranks", "five quantiles of 60", 5,
         lambda b: quantiles.order_statistics(b.y, b.age, 60, needed(60), FIVE, False), {
        "polars": lambda v: tuple(v.pl.y.rolling_quantile(q / 100, "linear", 60) for q in PERCENTS),
        "pandas": lambda v: tuple(v.pd.y.rolling(60).quantile(q / 100) for q in PERCENTS),
    }, exact.quantiles(60, PERCENTS), lambda o: tuple(o[0]), tuple(f"p{q}" for q in PERCENTS)),
    Case("Quantiles and ranks", "rank among 1,440", 1,
         lambda b: ranks.percentile_rank(b.y.astype(np.float32), 1440, needed(1440)), {
        "polars": lambda v: v.pl.y.rolling_rank(1440), "pandas": lambda v: v.pd.y.rolling(1440).rank(pct=True),
        "bottleneck": lambda v: bn.move_rank(v.y, 1440),
    }),
    Case("Hidden states", "filter of three states, nine outputs", 9, _chain, {"hmmlearn": _hmmlearn},
         note="hmmlearn gives three probabilities and no more; its time is over nine values too"),
    Case("Without a peer", "change points (BOCPD), ten outputs", 10, _change_points, {}),
    Case("Without a peer", "permutation entropy of 60", 1, lambda b: patterns.permutation_entropy(
        patterns.patterns(b.y, b.age), b.age, 60, needed(60), patterns.standstill(b.y, b.age, 62)), {}),
    Case("Without a peer", "variance ratio of 5 over 240", 1,
         lambda b: variance_ratio(b.dy, b.age, 240, 5, (216, 213)), {}),
    Case(TREND, "RSI 14", 1, lambda b: wilder.relative_strength(b.dy, b.age, 14, 140, 280), {
        "TA-Lib": lambda v: talib.RSI(v.y, 14),
    }, exact.rsi(14), note="TA-Lib takes the differences itself; ours are those of the stream"),
    Case(TREND, "MACD 12 26 9: line, signal, histogram", 3, _macd, {
        "TA-Lib": lambda v: talib.MACD(v.y, 12, 26, 9),
    }, exact.macd(12, 26, 9), outputs=("line", "signal", "histogram")),
    Case(TREND, "ATR 14", 1, lambda b: _wilder(b, ranges.movements(b.high, b.low, b.y, b.age)[0], 14), {
        "TA-Lib": lambda v: talib.ATR(v.high, v.low, v.y, 14),
    }, exact.atr(14), note="ours makes +DM and -DM on the way, which ADX then shares"),
    Case(TREND, "ADX, DI+, DI- 14", 3, _adx, {
        "TA-Lib": lambda v: (talib.ADX(v.high, v.low, v.y, 14), talib.PLUS_DI(v.high, v.low, v.y, 14),
                             talib.MINUS_DI(v.high, v.low, v.y, 14)),
    }, exact.adx(14), outputs=("ADX", "DI+", "DI-")),
    Case(TREND, "CCI 20", 1, lambda b: channel.channel_index((b.high + b.low + b.y) / 3.0, b.age, 20, 18), {
        "TA-Lib": lambda v: talib.CCI(v.high, v.low, v.y, 20),
    }, exact.cci(20)),
    Case(PLACE, "Stochastic 14 3 3: %K, %D", 2, _stochastic, {
        "TA-Lib": lambda v: talib.STOCH(v.high, v.low, v.y, 14, 3, 0, 3, 0),
    }, exact.stochastic(14), outputs=("%K", "%D")),
    Case(PLACE, "Williams %R 14", 1, _williams, {
        "TA-Lib": lambda v: talib.WILLR(v.high, v.low, v.y, 14),
    }, exact.williams(14)),
    Case(PLACE, "Bollinger 20: upper, middle, lower", 3, _bands, {
        "TA-Lib": lambda v: talib.BBANDS(v.y, 20, 2.0, 2.0),
    }, exact.bands(20), outputs=("upper", "middle", "lower")),
    Case(PLACE, "Bollinger %b 20", 1, _percent, {
        "TA-Lib": lambda v: _between(v.y, *talib.BBANDS(v.y, 20, 2.0, 2.0)),
        "pandas": lambda v: _between(v.pd.y, *_frame_bands(v.pd.y, v.pd.y.rolling(20))),
    }, exact.percent(20)),
)  # fmt: skip


def _two(b: Any) -> Any:
    out = np.empty(b.y.shape)
    products.correlations(b.high, b.dy, b.age, 60, needed(60), out)
    return out


def _back(x: Any) -> Any:
    """What was known before bar t, at bar t - 1, where the others have it."""
    return np.vstack([x[1:], np.full((1, x.shape[1]), np.nan)])
