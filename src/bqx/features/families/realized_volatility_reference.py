"""realized_volatility: every column from the bars of its window, one value at a time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.features.streams import Streams

F8 = NDArray[np.float64]


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    head, domain = column.rsplit("_", 1)
    metric, length = head.removeprefix("rv_").rsplit("_", 1)
    w = int(length)
    bars = _bars_reference(streams, domain, row, pair, 5 * w + 1)
    if metric in ("parkinson", "garman_klass", "rogers_satchell", "yang_zhang"):
        return _range_reference(metric, [v[-w - 1 :] for v in bars], w)
    y = bars[3]
    x = np.diff(y, prepend=np.nan)
    if metric == "vol_of_vol":
        ends = [len(x) - k * w // 4 for k in range(17)]
        return float(np.std([0.5 * _log_variance_reference(x[e - w : e]) for e in ends], ddof=1))
    if metric == "accel":
        now, then, before = (_log_variance_reference(x[len(x) - k - w : len(x) - k]) for k in (0, w // 2, w))
        return now - 2.0 * then + before
    return _jump_reference(metric, x[-w:], w)


def _bars_reference(streams: Streams, domain: str, row: int, pair: int, most: int) -> tuple[F8, F8, F8, F8, F8]:
    """Open, high, low, close of the last bars of the segment, and whether each was quoted."""
    stream = streams.stream("rate" if domain == "rate" else "bqx")
    rows = slice(row + 1 - min(most, int(streams.panel.grid.seg_age[row]) + 1), row + 1)
    prices = (v[rows, pair] for v in (stream.open, stream.high, stream.low, stream.close))
    o, h, lo, c = prices
    return o, h, lo, c, (streams.panel.fill_run[rows, pair] == 0).astype(float)


def _range_reference(metric: str, bars: list[F8], w: int) -> float:
    o, h, lo, c, quoted = bars
    step = (o[1:] - c[:-1])[(quoted[1:] == 1) & (quoted[:-1] == 1)]
    take = quoted[-w:] == 1
    o, h, lo, c = (v[-w:][take] for v in (o, h, lo, c))
    o, h, lo, c, step = (v[~np.isnan(v)] for v in (o, h, lo, c, step))
    body, turns = c - o, np.mean((h - c) * (h - o) + (lo - c) * (lo - o))
    if metric == "yang_zhang":
        k = 0.34 / (1.34 + (w + 1) / (w - 1))
        v = np.var(step, ddof=1) + k * np.var(body, ddof=1) + (1 - k) * turns
    elif metric == "rogers_satchell":
        v = turns
    elif metric == "garman_klass":
        v = np.mean(0.5 * (h - lo) ** 2 - (2 * math.log(2) - 1) * body**2)
    else:
        v = np.mean((h - lo) ** 2) / (4 * math.log(2))
    return math.sqrt(max(0.0, float(v)))


def _mean_reference(terms: F8) -> float:
    known = terms[~np.isnan(terms)]
    return float(np.sum(known)) / len(known)


def _log_variance_reference(x: F8) -> float:
    return math.log(_mean_reference(x * x))


def _jump_reference(metric: str, x: F8, w: int) -> float:
    """Sums over the window rescaled to w changes: mean of the valid terms times w."""
    size = np.abs(x)
    if metric in ("medrv", "quarticity"):
        three = size[2:], size[1:-1], size[:-2]
        if metric == "quarticity":
            return math.log(_fourth_reference(size, w))
        middle = np.sum(three, axis=0) - np.maximum.reduce(three) - np.minimum.reduce(three)
        return math.sqrt(math.pi / (6 - 4 * math.sqrt(3) + math.pi) * _mean_reference(middle**2))
    rv = w * _mean_reference(x * x)
    if metric in ("signed_jump", "skew"):
        v = x[~np.isnan(x)]
        if metric == "skew":
            return math.sqrt(w) * w / len(v) * math.fsum(v**3) / math.sqrt(rv) ** 3
        return (math.fsum(v[v > 0] ** 2) - math.fsum(v[v < 0] ** 2)) * w / len(v) / rv
    bv = math.pi / 2 * w * _mean_reference(size[1:] * size[:-1])
    if metric == "jump_z":
        spread = (math.pi**2 / 4 + math.pi - 5) / w * max(1.0, _fourth_reference(size, w) / bv**2)
        return (rv - bv) / rv / math.sqrt(spread)
    if metric == "jump_share":
        return max(0.0, rv - bv) / rv
    return math.sqrt((rv if metric == "realized" else bv) / w)


def _fourth_reference(size: F8, w: int) -> float:
    """Tripower quarticity."""
    mu = 2 ** (2 / 3) * math.gamma(7 / 6) / math.gamma(1 / 2)
    return w * w * mu**-3 * _mean_reference((size[2:] * size[1:-1] * size[:-2]) ** (4 / 3))
