"""regime_trend the slow way: whole windows of one pair, formulas as they are written."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.kernels.hysteresis import TAU
from bqx.features.states import trajectory_reference
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]

_KEPT: WeakKeyDictionary[Streams, dict[object, F8]] = WeakKeyDictionary()


def _once(streams: Streams, key: object, make: Callable[[], F8]) -> F8:
    kept = _KEPT.setdefault(streams, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]


def _levels_reference(streams: Streams, domain: Domain, row: int, pair: int, bars: int) -> F8:
    """The last `bars` levels up to `row`, counted from the zero of its segment, closure gaps left out."""
    stream, segment = streams.stream(domain), streams.segment
    first = max(0, row - bars + 1)
    y = stream.close[first : row + 1, pair].copy()
    if len(stream.ends):
        ends = np.nan_to_num(stream.ends[:, pair])
        home = int(segment[row])
        y -= [math.fsum(ends[s:home]) for s in segment[first : row + 1].tolist()]
    return y


def _tau_reference(y: F8) -> float:
    """Each value against the sorted ones before it."""
    held: list[float] = []
    score, tied = 0, 0
    for v in np.rint(y[~np.isnan(y)] * 1e6).tolist():
        low, high = bisect_left(held, v), bisect_right(held, v)
        score += low - (len(held) - high)
        tied += high - low
        held.insert(high, v)
    pairs = len(held) * (len(held) - 1) // 2
    return score / math.sqrt(pairs * (pairs - tied)) if tied < pairs else math.nan


def _ratio_reference(x: F8, q: int) -> float:
    """Lo & MacKinlay's sums written out; a missing change has no part in them."""
    valid = ~np.isnan(x)
    n = int(valid.sum())
    m = math.fsum(x[valid]) / n
    away = np.where(valid, x - m, 0.0)
    spans = np.lib.stride_tricks.sliding_window_view(away, q).sum(axis=1)
    number = np.lib.stride_tricks.sliding_window_view(valid, q).sum(axis=1)
    square = away * away
    total = math.fsum(square)
    ratio = math.fsum(spans * spans) / (number.sum() * (1 - q / n)) / (total / (n - 1))
    lagged = [(2 * (q - j) / q) ** 2 * n * float(np.dot(square[j:], square[:-j])) for j in range(1, q)]
    return math.sqrt(n) * (float(ratio) - 1) / math.sqrt(math.fsum(lagged) / total**2)


def _line_error_reference(v: F8) -> tuple[float, int]:
    """Squared error of the line through the values of a box there are, and their number."""
    x = np.flatnonzero(~np.isnan(v)).astype(np.float64)
    if len(x) < 3:
        return 0.0, 0
    v = v[~np.isnan(v)]
    v, x = v - v.mean(), x - x.mean()
    rest = v - float(np.dot(x, v) / np.dot(x, x)) * x
    return float(np.dot(rest, rest)), len(x)


def _fluctuation_reference(y: F8, w: int) -> float:
    sizes = sorted({round(4 * (w / 16) ** (i / 15)) for i in range(16)})
    logs = []
    for n in sizes:
        boxes = y[w - w // n * n :].reshape(w // n, n)
        full = ~np.isnan(boxes).any(axis=1)
        v = boxes[full] - boxes[full].mean(axis=1, keepdims=True)
        x = np.arange(n) - (n - 1) / 2
        rest = v - (v * x).sum(axis=1, keepdims=True) / (x * x).sum() * x
        total, points = float((rest * rest).sum()), rest.size
        for box in boxes[~full]:
            error, number = _line_error_reference(box)
            total, points = total + error, points + number
        logs.append(0.5 * math.log(total / points))
    away = np.log(sizes) - np.log(sizes).mean()
    return float(np.dot(away, logs) / np.dot(away, away))


def _half_life_reference(y: F8, w: int) -> float:
    """y holds w + 1 values."""
    z = y - np.nanmean(y[1:])
    both = ~np.isnan(z[1:]) & ~np.isnan(z[:-1])
    then, step = z[:-1][both], np.diff(y)[both]
    phi = math.fsum(then * step) / math.fsum(then * then)
    return min(-math.log(2) / math.log1p(phi), w) / w if -1 + 1e-9 < phi < 0 else 1.0


def make_reference(
    domain: Domain,
    parse: Callable[[str], tuple[str, int]],
    horizon: Callable[[int], int],
    taus: Callable[[Streams, int], F8],
) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        kind, w = parse(column)
        if kind == "vrz":
            change = streams.stream(domain).change[row - w + 1 : row + 1, pair]
            return _ratio_reference(change, horizon(w))
        if kind == "tau":
            return _tau_reference(_levels_reference(streams, domain, row, pair, w))
        if kind == "dfa":
            return _fluctuation_reference(_levels_reference(streams, domain, row, pair, w), w)
        if kind == "halflife":
            return _half_life_reference(_levels_reference(streams, domain, row, pair, w + 1), w)
        age = streams.panel.grid.seg_age
        start = row - int(age[row])
        stop = start + int(np.argmax(np.r_[age[start + 1 :] == 0, True])) + 1
        # tau has a reference of its own; states are checked on the series they are made of
        tau = _once(streams, (domain, w), lambda: taus(streams, w))[:, pair]
        key = (domain, pair, w, start)
        found = _once(streams, key, lambda: trajectory_reference(tau, start, stop, TAU, 0))
        return float(found[("state", "dur", "switch").index(kind), row - start])

    return reference
