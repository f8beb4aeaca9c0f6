"""multiscale the slow way: the closes of longer bars picked out, textbook recursions over them."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.families.extensions.parabolic_reference import trend_reference
from bqx.features.families.momentum import DATASETS as MOMENTUM
from bqx.features.families.regime_vol import DATASETS as REGIME_VOL
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]
_HOMES = {home.name: home for home in (*MOMENTUM, *REGIME_VOL)}
_KEPT: WeakKeyDictionary[Streams, dict[tuple[Domain, int, int], F8]] = WeakKeyDictionary()


def closes_reference(streams: Streams, domain: Domain, row: int, pair: int, every: int, count: int) -> F8:
    """The last `count` closes of bars of `every` minutes, oldest first, in the coordinates of the row's segment."""
    stream, segment = streams.stream(domain), streams.segment
    rows = row - every * np.arange(count)[::-1]
    there = rows >= 0
    path = np.where(there, stream.close[np.maximum(rows, 0), pair], np.nan)
    if len(stream.ends):
        ends = np.nan_to_num(stream.ends[:, pair])
        home = int(segment[row])
        for s in set(segment[rows[there]].tolist()):
            path[there & (segment[np.maximum(rows, 0)] == s)] -= math.fsum(ends[s:home])
    return path


def mean_reference(x: F8, n: int, alpha: float) -> F8:
    """Exponential means of the valid values of x from their n-th on, the first the plain mean of n."""
    v = x[~np.isnan(x)]
    out = [float(np.mean(v[:n]))]
    for value in v[n:].tolist():
        out.append(alpha * value + (1 - alpha) * out[-1])
    return np.array(out)


def strength_reference(path: F8) -> float:
    step = np.diff(path[-141:])
    up, down = (float(mean_reference(np.where(np.isnan(step), np.nan, np.maximum(sign * step, 0.0)), 14, 1 / 14)[-1])
                for sign in (1, -1))  # fmt: skip
    return 100.0 - 100.0 / (1.0 + up / down) if down > 0 else 100.0 if up > 0 else 50.0


def histogram_reference(path: F8) -> float:
    fast, slow = mean_reference(path, 12, 2 / 13), mean_reference(path, 26, 2 / 27)
    line = fast[14:] - slow
    return float(line[-1] - mean_reference(line, 9, 0.2)[-1])


def range_reference(streams: Streams, domain: Domain, row: int, pair: int, every: int, path: F8) -> float:
    stream, age = streams.stream(domain), streams.panel.grid.seg_age
    spans = []
    for k in range(140):
        at, own = row - k * every, path[-1 - k]
        before = path[-2 - k] - own
        if at < every - 1 or age[at] < every - 1:
            spans.append(math.nan)
            continue
        bars = slice(at - every + 1, at + 1)
        high, low = (x[bars, pair][~np.isnan(x[bars, pair])] for x in (stream.high, stream.low))
        if len(high) < math.ceil(0.9 * every) or math.isnan(before):
            spans.append(math.nan)
            continue
        now = float(stream.close[at, pair])
        spans.append(max(float(high.max()) - now, before) - min(float(low.min()) - now, before))
    return float(mean_reference(np.array(spans[::-1]), 14, 1 / 14)[-1])


def _changes_reference(streams: Streams, domain: Domain, pair: int, every: int) -> F8:
    """Changes over `every` rows at each row of the lane."""
    stream, segment = streams.stream(domain), streams.segment
    y = stream.close[:, pair]
    out = np.full(len(y), np.nan)
    out[every:] = y[every:] - y[:-every]
    if len(stream.ends):
        before, now = segment[:-every], segment[every:]
        crossed = np.flatnonzero(before != now)
        ends = np.nan_to_num(stream.ends[:, pair])
        out[every + crossed] += [math.fsum(ends[a:b]) for a, b in zip(before[crossed], now[crossed], strict=True)]
    return out


def spreads_reference(streams: Streams, domain: Domain, pair: int, every: int) -> F8:
    """vol_20 at each row of the lane, kept."""
    kept = _KEPT.setdefault(streams, {})
    if (domain, pair, every) not in kept:
        step = _changes_reference(streams, domain, pair, every)
        sets = np.full((20, len(step)), np.nan)
        for k in range(20):
            sets[k, k * every :] = step[: len(step) - k * every]
        n = (~np.isnan(sets)).sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean = np.nansum(sets, axis=0) / n
            found = np.sqrt(np.nansum((sets - mean) ** 2, axis=0) / (n - 1))
        kept[domain, pair, every] = np.where(n >= 18, found, np.nan)
    return kept[domain, pair, every]


def make_reference(domain: Domain, every: int) -> Reference:
    def other(streams: Streams, family: str, name: str, row: int, pair: int) -> float:
        return _HOMES[f"{family}_{domain}"].reference(streams, name, row, pair)

    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        if column == "regime_agreement":
            known = spreads_reference(streams, domain, pair, every)[max(0, row - 7199) : row + 1].astype(np.float32)
            known = known[~np.isnan(known)]
            rank = float((known < known[-1]).sum() + 0.5 * (known == known[-1]).sum()) / len(known)
            other_rank = other(streams, "regime_vol", "vol_pct_60", row, pair)
            return float((rank > 1 / 3) + (rank > 2 / 3) == (other_rank > 1 / 3) + (other_rank > 2 / 3))
        path = closes_reference(streams, domain, row, pair, every, 175)
        path = path - path[~np.isnan(path)][-1]
        stream = streams.stream(domain)
        match column:
            case "sma_gap_10":
                return -float(np.mean(path[-10:]))
            case "ema_gap_20":
                return -float(mean_reference(path[-100:], 20, 2 / 21)[-1])
            case "vol_20":
                return float(spreads_reference(streams, domain, pair, every)[row])
            case "lag1_change":
                return float(path[-2] - path[-3])
            case "ac1_20":
                step = np.diff(path[-22:])
                both = ~(np.isnan(step[1:]) | np.isnan(step[:-1]))
                return float(np.corrcoef(step[1:][both], step[:-1][both])[0, 1])
            case "rsi_14":
                return strength_reference(path)
            case "macd_hist":
                return histogram_reference(path)
            case "atr_14":
                return range_reference(streams, domain, row, pair, every, path)
            case "bb_width_20":
                return 4.0 * float(np.nanstd(path[-20:]))
            case "gap_1m_vs_scale":
                minutes = stream.close[row - 29 : row + 1, pair] - stream.close[row, pair]
                return float(np.nanmean(minutes)) - float(np.mean(path[-10:]))
            case "vol_1m_vs_scale":
                dy = stream.change[row - 59 : row + 1, pair]
                minutes = float(np.nanstd(dy, ddof=1)) * math.sqrt(every)
                return math.log(minutes / float(spreads_reference(streams, domain, pair, every)[row]))
        bars, short = trend_reference(path[-10:], 2), other(streams, "momentum_w30", "lin_t", row, pair)
        match column:
            case "trend_agreement":
                return float(np.sign(bars) * np.sign(short))
            case "dominance":
                return abs(bars) - abs(short)
        return float(bars * short < 0 and min(abs(bars), abs(short)) > 2)

    return reference
