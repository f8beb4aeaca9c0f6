"""statistics: how its columns are computed, and a slow reference for each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Compute, Reference
from bqx.features.kernels.autocorr import autocorrelation, variance_ratio
from bqx.features.kernels.moments import centre, over, shape, standard
from bqx.features.kernels.patterns import patterns, permutation_entropy, standstill
from bqx.features.kernels.quantiles import order_statistics
from bqx.features.kernels.window_extremes import window_extremes
from bqx.features.streams import Domain, Stream, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Found = dict[str, F8]

AUTOCORR, RATIO = 120, 240
"""Pairs of an autocorrelation and changes of a variance ratio."""

_NAME = re.compile(r"(mean|std|skew|kurt|range|iqr|mad|snr|perm_entropy|jb_stat|zscore)_(\d+)min|"
                   r"(p)(\d+)_(\d+)min|(autocorr)_lag(\d+)|(var_ratio)_(\d+)")  # fmt: skip


def parse(column: str) -> tuple[str, int, int]:
    """Quantity, number (window, lag or q) and percentage (0 when it has none) of a column name."""
    found = _NAME.fullmatch(column)
    if found is None:
        raise FeatureError(f"statistics has no column {column!r}")
    parts = [g for g in found.groups() if g is not None]
    return (parts[0], int(parts[-1]), int(parts[1])) if parts[0] == "p" else (parts[0], int(parts[1]), 0)


def _windows(names: Sequence[str], *kinds: str) -> list[int]:
    return sorted({w for kind, w, _ in map(parse, names) if kind in kinds})


def _moments(x: F8, age: I4, names: Sequence[str]) -> Found:
    out: Found = {}
    for w in _windows(names, "mean", "std", "skew", "kurt", "snr", "jb_stat"):
        higher = f"skew_{w}min" in names or f"kurt_{w}min" in names or f"jb_stat_{w}min" in names
        if higher:
            mean, deviation, skew, kurt, bera = shape(x, age, w, needed(w), True, f"jb_stat_{w}min" in names)
            out |= {f"skew_{w}min": skew, f"kurt_{w}min": kurt, f"jb_stat_{w}min": bera}
        else:
            shift, excess, deviation = centre(x, age, w, needed(w), 1)
            mean = shift + excess
        out |= {f"mean_{w}min": mean, f"std_{w}min": deviation}
        if f"snr_{w}min" in names:
            out[f"snr_{w}min"] = over(mean, deviation)
    return out


def _order(x: F8, age: I4, names: Sequence[str]) -> Found:
    out: Found = {}
    for w in _windows(names, "p", "iqr", "mad"):
        percents = sorted({q for kind, v, q in map(parse, names) if kind == "p" and v == w})
        quartiles = f"iqr_{w}min" in names
        wanted = sorted({*percents, *((25, 75) if quartiles else ())})
        mad = f"mad_{w}min"
        found, spread = order_statistics(x, age, w, needed(w), np.array(wanted, dtype=np.int64), mad in names)
        out |= {f"p{q}_{w}min": found[wanted.index(q)] for q in percents}
        if quartiles:
            out[f"iqr_{w}min"] = found[wanted.index(75)] - found[wanted.index(25)]
        out[mad] = spread
    return out


def _ranges(stream: Stream, age: I4, names: Sequence[str]) -> Found:
    windows = _windows(names, "range")
    if not windows:
        return {}
    found = window_extremes(stream.high, stream.low, age, windows, [needed(w) for w in windows])
    return {f"range_{w}min": high - low for w, (high, low) in zip(windows, found, strict=True)}


def _patterns(y: F8, age: I4, names: Sequence[str]) -> Found:
    windows = _windows(names, "perm_entropy")
    if not windows:
        return {}
    codes = patterns(y, age)
    return {
        f"perm_entropy_{w}min": permutation_entropy(codes, age, w, needed(w), standstill(y, age, w + 2))
        for w in windows
    }


def _scores(y: F8, age: I4, names: Sequence[str]) -> Found:
    out: Found = {}
    for w in _windows(names, "zscore"):
        shift, excess, deviation = centre(y, age, w, needed(w), 1)
        out[f"zscore_{w}min"] = standard(y, shift, excess, deviation)
    return out


def _serial(x: F8, change: F8, age: I4, names: Sequence[str]) -> Found:
    out = {
        f"autocorr_lag{k}": autocorrelation(x, age, k, AUTOCORR, needed(AUTOCORR)) for k in _windows(names, "autocorr")
    }
    for q in _windows(names, "var_ratio"):
        need = (needed(RATIO), needed(RATIO - q + 1))
        out[f"var_ratio_{q}"] = variance_ratio(change, age, RATIO, q, need)
    return out


def _series(stream: Stream, domain: Domain) -> F8:
    return stream.change if domain == "rate" else stream.close


def make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        stream, age = streams.stream(domain), streams.panel.grid.seg_age
        x, y = _series(stream, domain), stream.close
        found = _moments(x, age, names) | _order(x, age, names) | _ranges(stream, age, names)
        found |= _patterns(y, age, names) | _scores(y, age, names) | _serial(x, stream.change, age, names)
        return {name: found[name] for name in names}

    return compute


def _moments_reference(v: F8) -> dict[str, float]:
    """All from deviations about the mean, summed in exact order."""
    n = len(v)
    mean = math.fsum(v) / n
    m2, m3, m4 = (math.fsum((v - mean) ** k) / n for k in (2, 3, 4))
    if m2 == 0.0:
        return {"mean": mean, "std": 0.0}
    s, k = m3 / m2**1.5, m4 / m2**2 - 3.0
    deviation = math.sqrt(m2 * n / (n - 1))
    out = {"mean": mean, "std": deviation, "snr": mean / deviation, "jb_stat": n / 6 * (s * s + k * k / 4)}
    if n > 3:
        out["skew"] = s * math.sqrt(n * (n - 1)) / (n - 2)
        out["kurt"] = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * k + 6)
    return out


def _entropy_reference(y: F8) -> float:
    """Counts of argsorts; of equal values the earlier is the lower."""
    threes = [np.round(y[i : i + 3] - y[i], 8) for i in range(len(y) - 2) if not np.isnan(y[i : i + 3]).any()]
    seen = [tuple(np.argsort(three, kind="stable")) for three in threes]
    share = [seen.count(p) / len(seen) for p in permutations(range(3))]
    return -math.fsum(p * math.log(p) for p in share if p > 0) / math.log(6)


def _ratio_reference(dy: F8, q: int) -> float:
    sums = np.array([np.sum(dy[i : i + q]) for i in range(len(dy) - q + 1)])
    v, sums = dy[~np.isnan(dy)], sums[~np.isnan(sums)]
    mean = math.fsum(v) / len(v)
    above = math.fsum((sums - q * mean) ** 2) / (q * len(sums) * (1 - q / len(v)))
    return above / (math.fsum((v - mean) ** 2) / (len(v) - 1))


def make_reference(domain: Domain) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        kind, w, percent = parse(column)
        stream = streams.stream(domain)
        start = row - int(streams.panel.grid.seg_age[row])
        series, y = _series(stream, domain)[start : row + 1, pair], stream.close[start : row + 1, pair]

        def valid(z: F8, bars: int) -> F8:
            return z[-bars:][~np.isnan(z[-bars:])]

        other: dict[str, Callable[[], float]] = {
            "p": lambda: float(np.quantile(valid(series, w), percent / 100)),
            "iqr": lambda: float(np.subtract(*np.quantile(valid(series, w), [0.75, 0.25]))),
            "mad": lambda: 1.4826 * float(np.median(np.abs(valid(series, w) - np.median(valid(series, w))))),
            "range": lambda: float(
                np.max(valid(stream.high[start : row + 1, pair], w))
                - np.min(valid(stream.low[start : row + 1, pair], w))
            ),
            "perm_entropy": lambda: _entropy_reference(y[-w - 2 :]),
            "zscore": lambda: (float(y[-1]) - float(np.mean(valid(y, w)))) / float(np.std(valid(y, w), ddof=1)),
            "var_ratio": lambda: _ratio_reference(stream.change[start : row + 1, pair][-RATIO:], w),
            "autocorr": lambda: _autocorr_reference(series[w:][-AUTOCORR:], series[:-w][-AUTOCORR:]),
        }
        return other[kind]() if kind in other else _moments_reference(valid(series, w))[kind]

    return reference


def _autocorr_reference(now: F8, then: F8) -> float:
    both = ~(np.isnan(now) | np.isnan(then))
    return float(np.corrcoef(now[both], then[both])[0, 1])
