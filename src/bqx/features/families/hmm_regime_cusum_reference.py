"""CUSUM columns the slow way: whole series of one pair, kept as long as their streams."""

from __future__ import annotations

import math
from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]

DAY, HEAD_START, LEAST = 1440, 1728, 1296
WINDOW, VALID = 30, 27

_KEPT: WeakKeyDictionary[Streams, dict[object, F8]] = WeakKeyDictionary()


def once_reference(streams: Streams, key: object, make: Callable[[], F8]) -> F8:
    """The array of that key, made when first asked for."""
    kept = _KEPT.setdefault(streams, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]


def before_reference(x: F8) -> tuple[F8, F8]:
    """Mean and sample deviation of the DAY bars before each, NaN below LEAST valid ones or a deviation of nothing.
    From sums of all bars so far, in extended precision."""
    valid = ~np.isnan(x)
    centred = np.where(valid, x - (np.nanmean(x) if valid.any() else 0.0), 0.0).astype(np.longdouble)
    sums = [np.r_[np.zeros(1), np.cumsum(v)] for v in (valid.astype(np.longdouble), centred, centred * centred)]
    n, s, q = (v[:-1] - np.r_[np.zeros(min(DAY, len(x))), v[: max(len(x) - DAY, 0)]] for v in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = s / n
        deviation = np.sqrt(np.maximum(q - s * mean, 0.0) / (n - 1))
        good = (n >= LEAST) & (deviation > 1e-6)
    shift = np.nanmean(x) if valid.any() else 0.0
    return np.where(good, mean + shift, np.nan).astype(np.float64), np.where(good, deviation, np.nan).astype(np.float64)


def _curvature_reference(y: F8, age: NDArray[np.int32]) -> F8:
    """2 c of the least-squares parabola a + b x + c x^2 through the valid bars of each window of the segment."""
    out = np.full(len(y), np.nan)
    place = np.arange(WINDOW) - 0.5 * (WINDOW - 1)
    design = np.vander(place, 3)
    weights = 2.0 * np.linalg.pinv(design)[0]
    if len(y) < WINDOW:
        return out
    windows = np.lib.stride_tricks.sliding_window_view(y, WINDOW)
    there = (~np.isnan(windows)).sum(axis=1)
    inside = age[WINDOW - 1 :] >= WINDOW - 1
    for k in np.flatnonzero(inside & (there >= VALID) & (there < WINDOW)).tolist():
        here = ~np.isnan(windows[k])
        v = windows[k][here]
        out[k + WINDOW - 1] = 2.0 * np.linalg.lstsq(design[here], v - v[0], rcond=None)[0][0]
    whole = np.flatnonzero(inside & (there == WINDOW))
    out[whole + WINDOW - 1] = (windows[whole] - windows[whole, :1]) @ weights
    return out


def _score_reference(streams: Streams, series: str, domain: Domain, pair: int) -> F8:
    stream = streams.stream(domain)
    x = stream.change[:, pair]
    if series == "var":
        with np.errstate(divide="ignore"):
            x = np.log(x * x + 0.01 * before_reference(x)[1] ** 2)
    elif series == "curv":
        x = _curvature_reference(stream.close[:, pair], streams.panel.grid.seg_age)
    mean, deviation = before_reference(x)
    return (x - mean) / deviation


def trajectory_reference(z: F8, start: int, stop: int) -> F8:
    """S+, S-, alarm and age at rows start .. stop - 1, in words of the rules. Shape (4, stop - start)."""
    out = np.full((4, stop - start), np.nan)
    up, down, seen, last = 0.0, 0.0, 0, -math.inf
    first = max(0, start - HEAD_START)
    for k, score in enumerate(z[first:stop].tolist(), first):
        if score != score:
            continue
        seen += 1
        up, down = up + score - 0.5, down - score - 0.5
        up, down = up if up > 0.0 else 0.0, down if down > 0.0 else 0.0
        alarm = 1 if up > 5.0 else -1 if down > 5.0 else 0
        if alarm:
            last = seen
        if k >= start:
            out[0, k - start], out[1, k - start], out[2, k - start] = up, down, alarm
            out[3, k - start] = min(seen - last, DAY)
        if alarm:
            up, down = 0.0, 0.0
    return out


def segment_reference(streams: Streams, row: int) -> tuple[int, int]:
    """First row of the segment of `row` and the row after its last."""
    age = streams.panel.grid.seg_age
    start = row - int(age[row])
    return start, start + 1 + int(np.argmax(np.append(age[start + 1 :] == 0, True)))


def cusum_reference(streams: Streams, kind: str, series: str, domain: Domain, row: int, pair: int) -> float:
    """One value of a CUSUM column."""
    start, stop = segment_reference(streams, row)
    z = once_reference(streams, (series, domain, pair), lambda: _score_reference(streams, series, domain, pair))
    key = (series, domain, pair, start)
    found = once_reference(streams, key, lambda: trajectory_reference(z, start, stop))
    return float(found[("pos", "neg", "alarm", "age").index(kind), row - start])
