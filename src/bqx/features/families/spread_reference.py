"""spread, the slow, obvious way: one value from the bars it needs."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.hysteresis import TERCILES
from bqx.features.kernels.minute_of_week import weekly_score_reference
from bqx.features.states import trajectory_reference
from bqx.features.streams import Streams, momentum_scale

F8 = NDArray[np.float64]

HOUR, WEEK = 60, 7200
_KEPT: WeakKeyDictionary[Streams, dict[tuple[int, int], F8]] = WeakKeyDictionary()


def _spread_reference(streams: Streams, pair: int) -> F8:
    kept = _KEPT.setdefault(streams, {})
    if (pair, -2) in kept:
        return kept[pair, -2]
    bid, ask = (streams.panel.quotes[f"{side}_close"][:, pair] for side in ("bid", "ask"))
    kept[pair, -2] = 1e4 * (ask - bid) / streams.panel.close[:, pair]
    return kept[pair, -2]


def _momentum_reference(close: F8, age: NDArray[np.int32], window: int, row: int) -> float:
    past, now = close[row - window : row], float(close[row])
    if age[row] < window or np.isnan(past).sum() > (window - math.ceil(0.9 * window) if window >= 20 else 0):
        return math.nan
    moves = [(now - v) / now for v in past.tolist() if not math.isnan(v)]
    return 1e4 * window * math.fsum(moves) / len(moves) / momentum_scale(window)


def _rank_reference(x: F8) -> float:
    v = x[~np.isnan(x)]
    return float((np.sum(v < x[-1]) + 0.5 * np.sum(v == x[-1])) / len(v))


def _ranks_reference(s: F8) -> F8:
    """Rank of every s among the last 7,200 open minutes, 90 % of them quoted, from a sorted list."""
    held: list[float] = []
    out = np.full(len(s), np.nan)
    for r, v in enumerate(s.tolist()):
        if r >= WEEK and not math.isnan(s[r - WEEK]):
            del held[bisect_left(held, s[r - WEEK])]
        if not math.isnan(v):
            insort(held, v)
            if len(held) >= 0.9 * WEEK:
                out[r] = (bisect_left(held, v) + bisect_right(held, v)) / (2 * len(held))
    return out


def _regime_reference(streams: Streams, pair: int, row: int) -> float:
    """Ranks of a pair and the trajectory of the row's segment are kept for other rows."""
    age = streams.panel.grid.seg_age
    start = row - int(age[row])
    kept = _KEPT.setdefault(streams, {})
    if (pair, -1) not in kept:
        kept[pair, -1] = _ranks_reference(_spread_reference(streams, pair))
    if (pair, start) not in kept:
        stop = start + int(np.argmax(np.r_[age[start + 1 :] == 0, True])) + 1
        kept[pair, start] = trajectory_reference(kept[pair, -1], start, stop, TERCILES, 1)[0]
    return float(kept[pair, start][row - start])


def _spikes_reference(s: F8) -> float:
    """Of an hour's bars, each against the mean of the hour before it; scaled to 60 of them."""
    flags = []
    for r in range(HOUR, 2 * HOUR):
        before = s[r - HOUR : r]
        before = before[~np.isnan(before)]
        if not np.isnan(s[r]) and len(before) >= 54:
            flags.append(s[r] > 2.0 * max(math.fsum(before) / len(before), 0.0) + 1e-9)
    return float(round(HOUR * sum(flags) / len(flags)))


def _roll_reference(change: F8, age: NDArray[np.int32]) -> float:
    now, then = change[1:], change[:-1]
    both = ~np.isnan(now) & ~np.isnan(then) & (age[1:] > 0)
    covariance = float(np.cov(now[both], then[both])[0, 1])
    return 2.0 * math.sqrt(-covariance) if covariance < -1e-6 else 0.0


def _corwin_schultz_reference(high: F8, low: F8) -> float:
    """From log prices of two bars, as printed in the paper."""
    root = 3.0 - 2.0 * math.sqrt(2.0)
    beta = (high[0] - low[0]) ** 2 + (high[1] - low[1]) ** 2
    gamma = (max(high) - min(low)) ** 2
    alpha = (math.sqrt(2.0 * beta) - math.sqrt(beta)) / root - math.sqrt(gamma / root)
    return max(0.0, 2.0 * math.tanh(alpha / 2.0))


def _neighbours_reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """Corwin-Schultz and Abdi-Ranaldo over the last hour of bars, both of a pair quoted."""
    part = slice(row - HOUR, row + 1)
    h, low, c = (x[part, pair] / 1e4 for x in (streams.rate_high, streams.rate_low, streams.rate_close))
    fresh, age = streams.panel.fill_run[part, pair] == 0, streams.panel.grid.seg_age[part]
    rows = [r for r in range(1, HOUR + 1) if fresh[r] and fresh[r - 1] and age[r]]
    if column == "cs_spread_60":
        found = [_corwin_schultz_reference(h[r - 1 : r + 1], low[r - 1 : r + 1]) for r in rows]
        return 1e4 * math.fsum(found) / len(found)
    middle = (h + low) / 2.0
    found = [(c[r - 1] - middle[r - 1]) * (c[r - 1] - middle[r]) for r in rows]
    covariance = math.fsum(found) / len(found)
    return 1e4 * math.sqrt(4.0 * covariance) if covariance * 1e8 > 1e-6 else 0.0


def _realised_reference(streams: Streams, s: F8, row: int, pair: int) -> float:
    """Fill at ask after a rise, at bid after a fall; the direction by the last mid that differs."""
    mid, then, start = streams.panel.close[:, pair], row - 5, row - int(streams.panel.grid.seg_age[row])
    first = streams.panel.open[start : then + 1, pair]
    path = np.r_[first[~np.isnan(first)][:1], mid[start : then + 1]]
    path = path[~np.isnan(path)]
    moved = [b > a for a, b in pairwise(path.tolist()) if abs(b / a - 1.0) > 1e-13]
    if not moved:
        return math.nan
    d = 1.0 if moved[-1] else -1.0
    filled = mid[then] * (1.0 + d * s[then] / 2e4)
    return float(1e4 * 2.0 * d * (filled - mid[row]) / mid[then])


def _hour_reference(column: str, s: F8, row: int) -> float:
    """Rolling statistics of the hour that ends at the row."""
    hour = s[row - HOUR + 1 : row + 1]
    at = np.flatnonzero(~np.isnan(hour))
    v = hour[at]
    mean, before = math.fsum(v) / len(v), s[row - HOUR : row][~np.isnan(s[row - HOUR : row])]
    away = at - float(np.mean(at))
    return {
        "spread_mean_60": lambda: mean,
        "spread_std_60": lambda: math.sqrt(math.fsum((v - mean) ** 2) / (len(v) - 1)),
        "spread_slope_60": lambda: math.fsum(away * (v - mean)) / math.fsum(away * away),
        "spread_max_60": lambda: float(np.max(v)),
        "spread_range_60": lambda: float(np.max(v) - np.min(v)),
        "spread_z_60": lambda: float((s[row] - np.mean(before)) / np.std(before, ddof=1)),
        "spread_spike_count_60": lambda: _spikes_reference(s[row - 2 * HOUR + 1 : row + 1]),
    }[column]()


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    grid, close = streams.panel.grid, streams.panel.close[:, pair]
    if column == "roll_spread_60":
        return _roll_reference(streams.rate_change[row - HOUR : row + 1, pair], grid.seg_age[row - HOUR : row + 1])
    if column in ("cs_spread_60", "ar_spread_60"):
        return _neighbours_reference(streams, column, row, pair)
    s = _spread_reference(streams, pair)
    if column == "spread_bps":
        return float(s[row])
    if column == "spread_chg_5":
        return float(s[row] - s[row - 5])
    if column == "spread_tod_z":
        return weekly_score_reference(s, grid.week, grid.minute_of_week, row)
    if column == "spread_pctile_240":
        return _rank_reference(s[row - 239 : row + 1])
    if column == "realized_spread_5":
        return _realised_reference(streams, s, row, pair)
    if column == "spread_regime":
        return _regime_reference(streams, pair, row)
    if column.startswith("bqx_to_spread_"):
        return abs(_momentum_reference(close, grid.seg_age, int(column[14:]), row)) / float(s[row])
    if column.startswith("spread_bqx_corr_"):
        rows = range(row - int(column[16:]) + 1, row + 1)
        size = np.array([abs(_momentum_reference(close, grid.seg_age, 15, r)) for r in rows])
        spread = s[rows.start : rows.stop]
        both = ~np.isnan(size) & ~np.isnan(spread)
        return float(np.corrcoef(spread[both], size[both])[0, 1])
    return _hour_reference(column, s, row)
