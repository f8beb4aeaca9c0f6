"""Indicators of bars of S minutes that end now: bar j ends S j rows ago, so that values move every minute and no bar
is unfinished.

Each row is worked out from its own closes S rows apart: recursions start afresh, `PATH` bars and less ago, and nothing
runs along that would have to be anchored. A bar without a close is passed over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import FLOOR
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.positions import Levels, with_past

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Scaled = tuple[F8, F8, F8, F8, F8, F8, F8, F8, F8]
"""close - SMA_10, close - EMA_20, sd of 20 changes, their lag-1 autocorrelation, RSI_14, MACD histogram, ATR_14, four
deviations of 20 closes, t of the slope over 10 closes; shapes (n, pairs)."""

PATH = 175
"""Closes looked at: five times 26 + 9, MACD's."""
MEAN, SMOOTH, SPREAD, STRENGTH, RANGE = 10, 20, 20, 14, 14
SMOOTH_PATH, WILDER_PATH = 5 * SMOOTH, 10 * STRENGTH
FAST, SLOW, SIGNAL = 12, 26, 9
NEED_SMOOTH, NEED_WILDER, NEED_PATH, NEED_SPREAD = 90, 126, 158, 18
"""Nine tenths of the values."""
LAG = 2
"""Newey and West's lag for ten values."""


def scaled(close: F8, above: F8, below: F8, seg_age: I4, every: int, levels: Levels) -> Scaled:
    """Indicators of bars of `every` minutes over closures, closure gaps removed. above, below : highest high less
    close and close less lowest low of the bar that ends at the row. NaN where now is, where one of the ten closes is
    missing or where fewer than nine tenths of longer paths are there."""
    out = tuple(np.empty(close.shape) for _ in range(9))
    for part, begin, rows in with_past(close, seg_age, (PATH - 1) * every, levels):
        first = rows.start - begin
        there = tuple(x[rows] for x in out)
        _scaled(part, above[first : rows.stop], below[first : rows.stop], begin, every, there)  # type: ignore[arg-type]
    return out  # type: ignore[return-value]


@kernel
def _mean_gap(path: F8) -> float:
    """Less the mean of the last ten, NaN unless all are there."""
    total = 0.0
    for k in range(len(path) - MEAN, len(path)):
        total += path[k]
    gap: float = path[len(path) - 1] - total / MEAN
    return gap


@kernel
def _smooth_gap(path: F8) -> float:
    """Less the exponential mean of the last SMOOTH_PATH, seeded with the mean of the first SMOOTH."""
    alpha = 2.0 / (SMOOTH + 1.0)
    taken, mean = 0.0, 0.0
    for k in range(len(path) - SMOOTH_PATH, len(path)):
        v = path[k]
        if v == v:
            taken += 1.0
            mean += (1.0 / taken if taken <= SMOOTH else alpha) * (v - mean)
    return path[len(path) - 1] - mean if taken >= NEED_SMOOTH else np.nan


@kernel
def _histogram(path: F8) -> float:
    """EMA_12 - EMA_26 less its EMA_9, each seeded with the mean of its first values."""
    fast, slow, signal, line = 0.0, 0.0, 0.0, 0.0
    taken, drawn = 0.0, 0.0
    for k in range(len(path)):
        v = path[k]
        if v == v:
            taken += 1.0
            fast += (1.0 / taken if taken <= FAST else 2.0 / (FAST + 1.0)) * (v - fast)
            slow += (1.0 / taken if taken <= SLOW else 2.0 / (SLOW + 1.0)) * (v - slow)
            if taken >= SLOW:
                drawn += 1.0
                line = fast - slow
                signal += (1.0 / drawn if drawn <= SIGNAL else 2.0 / (SIGNAL + 1.0)) * (line - signal)
    return line - signal if taken >= NEED_PATH and path[len(path) - 1] == path[len(path) - 1] else np.nan


@kernel
def _strength(path: F8) -> float:
    """Relative strength of the last WILDER_PATH changes, as `wilder.relative_strength` from a fresh start."""
    taken, up, down = 0.0, 0.0, 0.0
    last = len(path) - 1
    for k in range(last - WILDER_PATH + 1, last + 1):
        v = path[k] - path[k - 1]
        if v == v:
            taken += 1.0
            weight = 1.0 / taken if taken <= STRENGTH else 1.0 / STRENGTH
            up += weight * ((v if v > 0.0 else 0.0) - up)
            down += weight * ((-v if v < 0.0 else 0.0) - down)
    if taken < NEED_WILDER or path[last] - path[last - 1] != path[last] - path[last - 1]:
        return np.nan
    total = up + down
    ratio = 100.0 * (up / total) if total > FLOOR else np.nan
    return 50.0 if total == 0.0 else ratio


@kernel
def _range(path: F8, above: F8, below: F8) -> float:
    """Smoothed true range of the last WILDER_PATH bars."""
    taken, mean, span = 0.0, 0.0, np.nan
    last = len(path) - 1
    for k in range(last - WILDER_PATH + 1, last + 1):
        rise = path[k - 1] - path[k]
        high, low = above[k], below[k]
        span = (high if high > rise else rise) + (low if low > -rise else -rise)
        span = span if (high == high) & (low == low) & (rise == rise) else np.nan
        if span == span:
            taken += 1.0
            mean += (1.0 / taken if taken <= RANGE else 1.0 / RANGE) * (span - mean)
    return mean if taken >= NEED_WILDER and span == span else np.nan


@kernel
def _spread(path: F8, changes: bool) -> float:
    """Sample deviation of the last SPREAD changes, or population deviation of the last SPREAD closes; exactly 0 where
    all are equal."""
    last = len(path) - 1
    total, count, shift, moved = 0.0, 0.0, np.nan, 0.0
    for k in range(last - SPREAD + 1, last + 1):
        v = path[k] - path[k - 1] if changes else path[k]
        if v == v:
            shift = shift if shift == shift else v
            total += v - shift
            count += 1.0
            moved += 1.0 if v != shift else 0.0
    if count < NEED_SPREAD:
        return np.nan
    if moved == 0.0:
        return 0.0
    mean, squares = total / count, 0.0
    for k in range(last - SPREAD + 1, last + 1):
        v = path[k] - path[k - 1] if changes else path[k]
        if v == v:
            away = (v - shift) - mean
            squares += away * away
    deviation: float = np.sqrt(squares / (count - 1.0 if changes else count))
    return deviation


@kernel
def _serial(path: F8) -> float:
    """Correlation of the last SPREAD changes with those a bar before."""
    last = len(path) - 1
    count, a, b = 0.0, 0.0, 0.0
    for k in range(last - SPREAD + 1, last + 1):
        u, v = path[k] - path[k - 1], path[k - 1] - path[k - 2]
        if (u == u) & (v == v):
            count += 1.0
            a += u
            b += v
    if count < NEED_SPREAD:
        return np.nan
    a, b = a / count, b / count
    uu, vv, uv = 0.0, 0.0, 0.0
    for k in range(last - SPREAD + 1, last + 1):
        u, v = path[k] - path[k - 1], path[k - 1] - path[k - 2]
        if (u == u) & (v == v):
            uu += (u - a) * (u - a)
            vv += (v - b) * (v - b)
            uv += (u - a) * (v - b)
    least = (TINY * TINY) * count
    if (uu <= least) | (vv <= least):
        return np.nan
    c = uv / np.sqrt(uu * vv)
    c = c if c < 1.0 else 1.0
    return c if c > -1.0 else -1.0


@kernel
def _trend(path: F8) -> float:
    """Slope of the last ten over its Newey-West error; NaN unless all are there, or where they lie on a line."""
    first, half = len(path) - MEAN, 0.5 * (MEAN - 1)
    mean, uz = 0.0, 0.0
    for k in range(MEAN):
        mean += path[first + k]
    mean /= MEAN
    uu = MEAN * (MEAN * MEAN - 1.0) / 12.0
    for k in range(MEAN):
        uz += (k - half) * (path[first + k] - mean)
    slope = uz / uu
    errors, whole = 0.0, 0.0
    for k in range(MEAN + LAG):
        together = 0.0
        for i in range(LAG + 1):
            at = k - i
            if (at >= 0) & (at < MEAN):
                e = (path[first + at] - mean) - slope * (at - half)
                together += (at - half) * e
                errors += e * e if i == 0 else 0.0
        whole += together * together
    return uz / np.sqrt(whole / (LAG + 1.0)) if errors > (TINY * TINY) * MEAN else np.nan


@kernel
def scaled_row(
    close: F8, above: F8, below: F8, r: int, every: int, floor: int, work: F8, out: Scaled, row: int
) -> None:
    """The indicators at row r of the rings, whose rows before `floor` have no value, into row `row` of `out`. work
    (3, PATH)."""
    cap, high_cap = len(close), len(above)
    path = work[0]
    for j in range(close.shape[1]):
        base = np.nan
        for k in range(PATH):
            at = r - (PATH - 1 - k) * every
            there = at >= floor
            path[k] = close[at % cap, j] if there else np.nan
            base = path[k] if path[k] == path[k] else base
            work[1, k] = above[at % high_cap, j] if there else np.nan
            work[2, k] = below[at % high_cap, j] if there else np.nan
        for k in range(PATH):
            path[k] -= base
        out[0][row, j] = _mean_gap(path)
        out[1][row, j] = _smooth_gap(path)
        out[2][row, j] = _spread(path, True)
        out[3][row, j] = _serial(path)
        out[4][row, j] = _strength(path)
        out[5][row, j] = _histogram(path)
        out[6][row, j] = _range(path, work[1], work[2])
        out[7][row, j] = 4.0 * _spread(path, False)
        out[8][row, j] = _trend(path)


@kernel
def _scaled(close: F8, above: F8, below: F8, begin: int, every: int, out: Scaled) -> None:
    """Rows `begin` .. are a segment, those before it the past it may use."""
    work = np.empty((3, PATH))
    for r in range(begin, len(close)):
        scaled_row(close, above, below, r, every, 0, work, out, r - begin)
