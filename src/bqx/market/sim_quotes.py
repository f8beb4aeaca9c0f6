"""From two currencies' worths to the quoted bars of a pair: ranges, spreads, ticks, missing minutes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.market.pairs import CURRENCIES, PAIRS, parse_pair
from bqx.market.sim_math import bits, exp, high_half, kernel, log, low_half, stream_key, uniform

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

FIELDS = 13  # open high low close volume, bid x 4, ask x 4
_HOLE_RATE, _HOLE_MIN, _HOLE_MAX = 1.0 / 20_000.0, 6, 90

# Typical spread in points (a tenth of a pip: 0.00001, or 0.001 for yen pairs).
_SPREAD = {"eurusd": 6, "usdjpy": 8, "gbpusd": 10, "audusd": 8, "nzdusd": 12, "usdcad": 10, "usdchf": 10,
           "eurgbp": 10, "eurjpy": 12, "eurchf": 13, "gbpjpy": 18, "audjpy": 14, "chfjpy": 18, "cadjpy": 16,
           "euraud": 17, "eurcad": 17, "eurnzd": 24, "gbpaud": 24, "gbpcad": 24, "gbpchf": 20,
           "gbpnzd": 32}  # fmt: skip
_SPREAD_ELSE = 18


class PairTraits:
    """What never changes of a pair: its currencies, point size, spread, ticks and share of missing minutes."""

    def __init__(self, pair: str) -> None:
        both = parse_pair(pair)
        self.number = PAIRS.index(pair)
        self.base, self.quote = CURRENCIES.index(both.base), CURRENCIES.index(both.quote)
        self.scale = 1e3 if both.quote == "jpy" else 1e5
        self.spread = float(_SPREAD.get(pair, _SPREAD_ELSE))
        self.ticks = 60.0 * 10.0 / (4.0 + self.spread)
        self.missing = 0.0135 + 0.015 * ((self.number * 11) % 28) / 27.0


@kernel
def quote(
    seed: int, number: int, base: int, quote_: int, scale: float, spread: float, ticks: float, missing: float,
    minute: I8, seg_age: I4, minute_of_day: I4, season: I8, profiles: F8, path: F8, sigma: F8, ts: I8, out: F8,
) -> int:  # fmt: skip
    """Fill `ts` (microseconds) and `out` (13, n) with the quoted minutes; returns how many there are."""
    stream = 64 + 8 * number
    high_key, low_key = stream_key(seed, stream), stream_key(seed, stream + 1)
    mixed_key, miss_key, hole_key = (
        stream_key(seed, stream + 2),
        stream_key(seed, stream + 3),
        stream_key(seed, stream + 4),
    )
    usual = sigma[base] * sigma[base] + sigma[quote_] * sigma[quote_]
    rows = 0
    hole_end, scanned = np.int64(-1), np.int64(-1)
    for i in range(len(minute)):
        m = minute[i]
        k = max(scanned + 1, m - _HOLE_MAX + 1)
        while k <= m:  # a hole that began in the last 90 minutes may still be open
            u = uniform(hole_key, k)
            if u < _HOLE_RATE:
                hole_end = max(hole_end, k + _HOLE_MIN + int(u / _HOLE_RATE * (_HOLE_MAX - _HOLE_MIN + 1)))
            k += 1
        scanned = m
        d = minute_of_day[i]
        active = 0.5 * (profiles[season[i], d, base] + profiles[season[i], d, quote_])
        quiet = min(max(1.6 - 0.6 * active, 0.4), 1.5)
        if m < hole_end or uniform(miss_key, m) < missing * quiet:
            continue
        variance = path[i, 2, base] + path[i, 2, quote_]
        o = path[i, 0, base] / path[i, 0, quote_]
        c = path[i, 1, base] / path[i, 1, quote_]
        x = c / o - 1.0
        up = 0.5 * (x + math.sqrt(x * x - 2.0 * variance * log(uniform(high_key, m))))
        down = 0.5 * (x - math.sqrt(x * x - 2.0 * variance * log(uniform(low_key, m))))
        h, low = max(o * exp(up), o, c), min(o * exp(down), o, c)
        word = bits(mixed_key, m)
        heat = math.sqrt(math.sqrt(variance / (usual * active)))  # root of volatility against what is usual now
        wide = spread * quiet * heat * (0.75 + 0.5 * high_half(word))
        if d < 10 or d >= 1435:
            wide *= 3.0  # around 17:00 New York
        elif seg_age[i] < 60:
            wide *= 2.0
        points = max(math.floor(wide + 0.5), 2.0)
        ts[rows] = m * 60_000_000
        for f, price in enumerate((o, h, low, c)):
            bid = math.floor(price * scale - 0.5 * points + 0.5)
            out[5 + f, rows] = bid / scale
            out[9 + f, rows] = (bid + points) / scale
            out[f, rows] = 0.5 * (out[5 + f, rows] + out[9 + f, rows])
        out[4, rows] = 1.0 + math.floor(ticks * active * heat * (0.4 + 1.2 * low_half(word)))
        rows += 1
    return rows
