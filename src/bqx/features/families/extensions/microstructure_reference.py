"""microstructure the slow way: each value from the bars of its own window."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.streams import Streams

F8 = NDArray[np.float64]

W, DAY, MONTH, WEEK = 60, 1440, 28_800, 7200
_KEPT: WeakKeyDictionary[Streams, dict[tuple[str, int], F8]] = WeakKeyDictionary()


def _slope_reference(y: F8, x: F8) -> float:
    both = ~(np.isnan(x) | np.isnan(y))
    away = x[both] - x[both].mean()
    return math.fsum(away * y[both]) / math.fsum(away * away)


def _signs_reference(change: F8) -> F8:
    """Sign of the last change, of a segment's changes."""
    out, sign = np.full(len(change), np.nan), math.nan
    for k, d in enumerate(change):
        if abs(d) > 1e-9:
            sign = math.copysign(1.0, d)
        out[k] = math.nan if math.isnan(d) else sign
    return out


def _normal_reference(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def _vpin_reference(streams: Streams, row: int, pair: int) -> float:
    """Buckets filled with volume cut into pieces, the newest first."""
    v, change, sigma = streams.panel.volume[:, pair], streams.rate_change[:, pair], streams.sigma[:, pair]
    month = v[row - MONTH + 1 : row + 1]
    size = math.fsum(month[~np.isnan(month)]) / int((~np.isnan(month)).sum()) * DAY / 50
    edges, total, at, k = [i * size for i in range(1, 51)], [0.0] * 50, 0.0, row
    while k > row - 3 * DAY and at < edges[-1] * (1 - 1e-12):
        if not np.isnan(v[k] + change[k] + sigma[k]):
            side = 2 * _normal_reference(change[k] / sigma[k]) - 1
            low, high = at, at + v[k]
            for i in range(min(int(low / size), 49), min(int(high / size), 49) + 1):
                total[i] += side * max(0.0, min(high, edges[i]) - max(low, edges[i] - size))
            at = high
        k -= 1
    return math.fsum(abs(part) for part in total) / (50 * size) if at >= edges[-1] * (1 - 1e-12) else math.nan


def _rank_reference(streams: Streams, row: int, pair: int) -> float:
    """Among the values as emitted."""
    kept = _KEPT.setdefault(streams, {})
    if ("vpin", pair) not in kept:
        from bqx.features.families.extensions.microstructure import DATASET

        kept["vpin", pair] = DATASET.compute(streams, ["vpin"])["vpin"][:, pair].copy()
    recent = kept["vpin", pair][row - WEEK + 1 : row + 1].astype(np.float32)
    recent = recent[~np.isnan(recent)]
    return float(((recent < recent[-1]).sum() + 0.5 * (recent == recent[-1]).sum()) / len(recent))


def _ratio_reference(x: F8) -> float:
    sums = np.array([np.sum(x[i : i + 5]) for i in range(len(x) - 4)])
    v, sums = x[~np.isnan(x)], sums[~np.isnan(sums)]
    mean = math.fsum(v) / len(v)
    above = math.fsum((sums - 5 * mean) ** 2) / (5 * len(sums) * (1 - 5 / len(v)))
    return above / (math.fsum((v - mean) ** 2) / (len(v) - 1))


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way."""
    panel = streams.panel
    start = row - int(panel.grid.seg_age[row])
    dy, v = streams.rate_change[start : row + 1, pair], panel.volume[start : row + 1, pair]
    bid, ask = (panel.quotes[f"{side}_close"][start : row + 1, pair] for side in ("bid", "ask"))
    s = 1e4 * (ask - bid) / panel.close[start : row + 1, pair]
    if column == "vpin":
        return _vpin_reference(streams, row, pair)
    if column == "order_flow_toxicity":
        return _rank_reference(streams, row, pair)
    if column == "kyle_lambda":
        return _slope_reference(dy[-W:], (_signs_reference(dy) * np.sqrt(v))[-W:])
    if column == "tick_rule":
        return float(np.nanmean(_signs_reference(dy)[-W:]))
    if column == "quoted_spread_stability":
        return 1.0 / (1.0 + float(np.nanstd(s[-W:], ddof=1)) / float(np.nanmean(s[-W:])))
    if column == "market_efficiency":
        return abs(_ratio_reference(dy[-240:]) - 1.0)
    if column in ("price_resilience", "adverse_selection"):
        step, before = (s[1:] - s[:-1])[-W:], s[:-1][-W:]
        if column == "price_resilience":
            return -_slope_reference(step, before)
        return _slope_reference(step, np.abs(dy[-W:]))
    x = np.log1p(v) if column == "trade_clustering" else dy
    now, then = x[1:][-W:], x[:-1][-W:]
    both = ~(np.isnan(now) | np.isnan(then))
    if column == "trade_clustering":
        return float(np.corrcoef(now[both], then[both])[0, 1])
    covariance = float(np.cov(now[both], then[both])[0, 1])
    return math.sqrt(max(0.0, -covariance))
