"""regime_vol the slow way: whole series of one pair, kept as long as their streams."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.kernels.hysteresis import TERCILES
from bqx.features.states import trajectory_reference
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
WEEK = 7200

_KEPT: WeakKeyDictionary[Streams, dict[object, F8]] = WeakKeyDictionary()


def _once(streams: Streams, key: object, make: Callable[[], F8]) -> F8:
    kept = _KEPT.setdefault(streams, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]


def _volatility_reference(change: F8, age: NDArray[np.int32], w: int) -> F8:
    """sqrt of the mean square of each window times w, added up window by window."""
    out = np.full(len(change), np.nan)
    if len(change) < w:
        return out
    still = np.abs(change) <= 1e-9
    square = np.where(np.isnan(change) | still, 0.0, change * change)
    total = np.lib.stride_tricks.sliding_window_view(square, w).sum(axis=1)
    count = np.lib.stride_tricks.sliding_window_view(~np.isnan(change), w).sum(axis=1)
    whole = count >= needed(w)
    if w <= 240:
        whole &= age[w - 1 :] >= w - 1
    out[w - 1 :] = np.where(whole, np.sqrt(total / np.maximum(count, 1) * w), np.nan)
    return out


def _ranks_reference(volatility: F8) -> F8:
    """A sorted list of the last week; what rounds to the same float32 is equal."""
    values = volatility.astype(np.float32).tolist()
    held: list[float] = []
    out = np.full(len(values), np.nan)
    for r, v in enumerate(values):
        if r >= WEEK and not math.isnan(values[r - WEEK]):
            del held[bisect_left(held, values[r - WEEK])]
        if not math.isnan(v):
            insort(held, v)
            if len(held) >= needed(WEEK):
                out[r] = (bisect_left(held, v) + bisect_right(held, v)) / (2 * len(held))
    return out


def _slope_reference(y: F8) -> float:
    x = np.arange(len(y), dtype=np.float64)[~np.isnan(y)]
    v = y[~np.isnan(y)]
    away = x - math.fsum(x) / len(x)
    return math.fsum(away * (v - v[0])) / math.fsum(away * away)


def _memory_reference(change: F8, age: NDArray[np.int32], bars: int) -> float:
    """Correlation of the last pairs of sizes; the two of a pair lie in one segment."""
    now, then = np.abs(change[-bars:]), np.abs(change[-bars - 1 : -1])
    now = now[-len(then) :]
    both = ~np.isnan(now) & ~np.isnan(then) & (age[-len(then) :] > 0)
    return float(np.corrcoef(now[both], then[both])[0, 1])


def make_reference(
    domain: Domain, parse: Callable[[str], tuple[str, int]], memory_bars: Callable[[int], int]
) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        kind, w = parse(column)
        change, age = streams.stream(domain).change[:, pair], streams.panel.grid.seg_age

        def volatility(bars: int) -> F8:
            return _once(streams, (domain, pair, bars), lambda: _volatility_reference(change, age, bars))

        if kind == "memory":
            return _memory_reference(change[: row + 1], age[: row + 1], memory_bars(w))
        if kind == "ratio":
            return 2.0 * float(volatility(w // 4)[row]) / float(volatility(w)[row])
        if kind == "slope":
            recent = volatility(w)[row - w + 1 : row + 1]
            return _slope_reference(np.log(np.where(recent > 0.0, recent, np.nan)))
        ranks = _once(streams, (domain, pair, w, "rank"), lambda: _ranks_reference(volatility(w)))
        if kind == "pct":
            return float(ranks[row])
        start = row - int(age[row])
        stop = start + int(np.argmax(np.r_[age[start + 1 :] == 0, True])) + 1
        key = (domain, pair, w, start)
        found = _once(streams, key, lambda: trajectory_reference(ranks, start, stop, TERCILES, 1))
        return float(found[("state", "dur", "switch").index(kind), row - start])

    return reference
