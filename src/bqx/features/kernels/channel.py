"""Commodity channel index: the current value against the mean distance from the mean (Lambert 1980)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import divides
from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

LAMBERT = 0.015
"""Lambert's constant: three quarters of the values of a random series lie within +-100."""
BLOCK = 64
"""Rows worked on at a time, so that they stay in the cache."""


@kernel
def _gap(v: float, c: float) -> float:
    """v - c, 0 where one is missing."""
    d = v - c
    return d if d == d else 0.0


@kernel
def _distance(v: float, c: float, mean: float) -> float:
    """|(v - c) - mean|, 0 where one is missing."""
    d = abs((v - c) - mean)
    return d if d == d else 0.0


@kernel
def _channel(mean: float, total: float, count: float, need: float) -> float:
    """From the window's mean, counted from the current value, and the sum of distances from it."""
    b = LAMBERT * (total / count)
    ok = (count >= need) & divides(b, mean)
    return -mean / b if ok else np.nan


@kernel
def channel_row(x: F8, r: int, seg_age: int, window: int, need: int, scratch: F8, out: F8, at: int) -> None:
    """Bar r of the ring `x` by :func:`channel_index` into out[at]. scratch : (2, pairs)."""
    cap, p = x.shape
    now, odd, first = r % cap, window % 4, r - window + 1
    scratch[:] = 0.0
    if seg_age >= window - 1:
        for k in range(first, r + 1):
            for j in range(p):
                scratch[1, j] += 1.0 if x[k % cap, j] == x[k % cap, j] else 0.0
        for j in range(p):
            c, total, spread = x[now, j], 0.0, 0.0
            for k in range(first, first + odd):
                total += _gap(x[k % cap, j], c)
            for k in range(first + odd, r + 1, 4):
                one, two = _gap(x[k % cap, j], c), _gap(x[(k + 1) % cap, j], c)
                total += (one + two) + (_gap(x[(k + 2) % cap, j], c) + _gap(x[(k + 3) % cap, j], c))
            mean = total / scratch[1, j]
            for k in range(first, first + odd):
                spread += _distance(x[k % cap, j], c, mean)
            for k in range(first + odd, r + 1, 4):
                one, two = _distance(x[k % cap, j], c, mean), _distance(x[(k + 1) % cap, j], c, mean)
                three, four = _distance(x[(k + 2) % cap, j], c, mean), _distance(x[(k + 3) % cap, j], c, mean)
                spread += (one + two) + (three + four)
            scratch[0, j] = _channel(mean, spread, scratch[1, j], need) if c == c else np.nan
    for j in range(p):
        out[at, j] = scratch[0, j] if seg_age >= window - 1 else np.nan


def channel_index(x: F8, seg_age: I4, window: int, need: int) -> F8:
    """Commodity channel index of `x`, (x - mean) / (0.015 mean |x - mean|) of the last `window` rows of the segment
    (Lambert 1980); NaN where x is, below `need` valid values and in flat windows. Shape (n, pairs), C order.

    All values are counted from the current one, so that a flat window gives an exact 0. Each distance back is one long
    loop over a block of rows; sums begin with the oldest value, four at a time.
    """
    out = np.empty(x.shape)
    _channel_index(x, seg_age, window, float(need), out)
    return out


@kernel
def _add_gaps(a: F8, b: F8, c: F8, d: F8, now: F8, total: F8) -> None:
    for i in range(len(total)):
        total[i] += (_gap(a[i], now[i]) + _gap(b[i], now[i])) + (_gap(c[i], now[i]) + _gap(d[i], now[i]))


@kernel
def _add_gap(a: F8, now: F8, total: F8) -> None:
    for i in range(len(total)):
        total[i] += _gap(a[i], now[i])


@kernel
def _add_distances(a: F8, b: F8, c: F8, d: F8, now: F8, mean: F8, total: F8) -> None:
    for i in range(len(total)):
        v, m = now[i], mean[i]
        total[i] += (_distance(a[i], v, m) + _distance(b[i], v, m)) + (_distance(c[i], v, m) + _distance(d[i], v, m))


@kernel
def _add_distance(a: F8, now: F8, mean: F8, total: F8) -> None:
    for i in range(len(total)):
        total[i] += _distance(a[i], now[i], mean[i])


@kernel
def _finish(now: F8, mean: F8, spread: F8, count: F8, need: float, out: F8) -> None:
    for i in range(len(out)):
        value = _channel(mean[i], spread[i], count[i], need)
        out[i] = value if now[i] == now[i] else np.nan


@kernel
def _counts(x: F8, first: int, end: int, window: int, count: F8, out: F8) -> None:
    """Valid values of the windows that end in rows first .. end - 1, into `out`; `count` is that of row first - 1."""
    for r in range(first, end):
        for j in range(x.shape[1]):
            count[j] += 1.0 if x[r, j] == x[r, j] else 0.0
            if r >= window:
                count[j] -= 1.0 if x[r - window, j] == x[r - window, j] else 0.0
            out[r - first, j] = count[j]


@kernel
def _channel_index(x: F8, seg_age: I4, window: int, need: float, out: F8) -> None:
    n, p = x.shape
    flat, flat_out, odd = x.reshape(n * p), out.reshape(n * p), window % 4
    mean, spread, number = np.empty(BLOCK * p), np.empty(BLOCK * p), np.empty((BLOCK, p))
    count = np.zeros(p)
    _counts(x, 0, min(window - 1, n), window, count, np.empty((window, p)))
    out[: window - 1] = np.nan
    for begin in range(window - 1, n, BLOCK):
        end = min(begin + BLOCK, n)
        size = (end - begin) * p
        now, m, total = flat[begin * p : end * p], mean[:size], spread[:size]
        _counts(x, begin, end, window, count, number)
        held = number.reshape(BLOCK * p)[:size]
        m[:], total[:] = 0.0, 0.0
        oldest = (begin - window + 1) * p
        for k in range(odd):
            _add_gap(flat[oldest + k * p : oldest + k * p + size], now, m)
        for k in range(odd, window, 4):
            at = oldest + k * p
            a, b = flat[at : at + size], flat[at + p : at + p + size]
            _add_gaps(a, b, flat[at + 2 * p : at + 2 * p + size], flat[at + 3 * p : at + 3 * p + size], now, m)
        for i in range(size):
            m[i] /= held[i]
        for k in range(odd):
            _add_distance(flat[oldest + k * p : oldest + k * p + size], now, m, total)
        for k in range(odd, window, 4):
            at = oldest + k * p
            a, b = flat[at : at + size], flat[at + p : at + p + size]
            _add_distances(
                a, b, flat[at + 2 * p : at + 2 * p + size], flat[at + 3 * p : at + 3 * p + size], now, m, total
            )
        _finish(now, m, total, held, need, flat_out[begin * p : end * p])
        for r in range(begin, end):
            if seg_age[r] < window - 1:
                for j in range(p):
                    out[r, j] = np.nan
