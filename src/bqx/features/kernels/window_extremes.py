"""Largest and smallest of the last W values, the current one included; exact, so any algorithm gives the same bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
Extremes = tuple[F8, F8]

CHUNK = 256
"""Rows worked on at a time, so that they stay in the cache."""


@kernel
def _replace(x: F8, stand_in: float, out: F8) -> int:
    """Copy with NaN replaced; how many there were."""
    missing = 0
    for i in range(len(out)):
        valid = x[i] == x[i]
        out[i] = x[i] if valid else stand_in
        missing += 0 if valid else 1
    return missing


@kernel
def _larger(a: F8, b: F8, out: F8) -> None:
    for i in range(len(out)):
        out[i] = a[i] if a[i] > b[i] else b[i]


@kernel
def _smaller(a: F8, b: F8, out: F8) -> None:
    for i in range(len(out)):
        out[i] = a[i] if a[i] < b[i] else b[i]


@kernel
def _widen(x: F8, have: int, window: int, p: int, largest: bool, other: F8) -> tuple[F8, F8]:
    """From extremes over `have` rows of p lanes in `x` to those over `window`: over 2, 4, ... times as many and then
    the rest, which may overlap. Returns them, right from row window - 1 on, and the array that is free now."""
    source, target = x, other
    while have < window:
        step = min(have, window - have)
        start, end, back = (have - 1 + step) * p, len(x), step * p
        if start < end:
            if largest:
                _larger(source[start:end], source[start - back : end - back], target[start:end])
            else:
                _smaller(source[start:end], source[start - back : end - back], target[start:end])
        source, target = target, source
        have += step
    return source, target


@kernel
def _blank(x: F8, first: int, begin: int, end: int, window: int, need: int, out: F8, other: F8) -> None:
    """NaN into the lanes of rows begin .. end - 1 that hold too few values since row r - window + 1."""
    p = x.shape[1]
    count = np.zeros(p)
    for r in range(first, end):
        for j in range(p):
            count[j] += 1.0 if x[r, j] == x[r, j] else 0.0
        if r - window >= first:
            for j in range(p):
                count[j] -= 1.0 if x[r - window, j] == x[r - window, j] else 0.0
        if r >= begin:
            for j in range(p):
                out[r, j] = out[r, j] if count[j] >= need else np.nan
                other[r, j] = other[r, j] if count[j] >= need else np.nan


def window_extremes(high: F8, low: F8, seg_age: I4, windows: Sequence[int], needs: Sequence[int]) -> list[Extremes]:
    """Maximum of `high` and minimum of `low` over rows r - W + 1 .. r for ascending windows W; NaN unless all of the
    rows lie in one segment and at least the window's need hold a value (both arrays are NULL together). Two arrays
    (n, pairs), C order, for each window.

    Extremes over 2 k rows are those over k rows now and k rows ago: log2 W comparisons a value, each a long loop over
    neighbours in memory, and a window continues where the one before it ended.
    """
    shape = (len(windows), *high.shape)
    top, bottom = np.empty(shape), np.empty(shape)
    _window_extremes(high, low, seg_age, np.array(windows), np.array(needs), top, bottom)
    return list(zip(top, bottom, strict=True))


@kernel
def _window_extremes(high: F8, low: F8, seg_age: I4, windows: I8, needs: I8, top: F8, bottom: F8) -> None:
    n, p = high.shape
    longest = windows[-1]
    rows = max(CHUNK, 2 * longest)
    one, two = np.empty((rows + longest) * p), np.empty((rows + longest) * p)
    for begin in range(0, n, rows):
        first, end = max(0, begin - longest + 1), min(begin + rows, n)
        size, skip = (end - first) * p, (begin - first) * p
        missing = 0
        for largest in (True, False):
            x, out = (high, top) if largest else (low, bottom)
            found, free, have = one[:size], two[:size], 1
            missing = _replace(x.reshape(n * p)[first * p : end * p], -np.inf if largest else np.inf, found)
            for i in range(len(windows)):
                found, free = _widen(found, have, windows[i], p, largest, free)
                have = windows[i]
                out[i].reshape(n * p)[begin * p : end * p] = found[skip:]
        for i in range(len(windows)):
            if missing:
                _blank(high, first, begin, end, windows[i], needs[i], top[i], bottom[i])
            for r in range(begin, end):
                if seg_age[r] < windows[i] - 1:
                    for j in range(p):
                        top[i, r, j], bottom[i, r, j] = np.nan, np.nan


@kernel
def extremes_row(high: F8, low: F8, r: int, seg_age: int, window: int, need: int, top: F8, bottom: F8) -> None:
    """One row of :func:`window_extremes` for one window into `top`, `bottom` (pairs,) from rings (row k at k % len)."""
    cap, p = high.shape
    for j in range(p):
        hi, lo, count = -np.inf, np.inf, 0
        if seg_age >= window - 1:
            for k in range(r - window + 1, r + 1):
                a, b = high[k % cap, j], low[k % cap, j]
                hi = a if a > hi else hi
                lo = b if b < lo else lo
                count += 1 if a == a else 0
        top[j] = hi if count >= need else np.nan
        bottom[j] = lo if count >= need else np.nan
