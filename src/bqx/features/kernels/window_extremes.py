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

CHUNK = 64
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
def _largest(a: F8, b: F8, c: F8, d: F8, out: F8) -> None:
    for i in range(len(out)):
        x = a[i] if a[i] > b[i] else b[i]
        y = c[i] if c[i] > d[i] else d[i]
        out[i] = x if x > y else y


@kernel
def _smallest(a: F8, b: F8, c: F8, d: F8, out: F8) -> None:
    for i in range(len(out)):
        x = a[i] if a[i] < b[i] else b[i]
        y = c[i] if c[i] < d[i] else d[i]
        out[i] = x if x < y else y


@kernel
def _widen(x: F8, have: int, window: int, p: int, start: int, largest: bool, out: F8) -> None:
    """From extremes over `have` rows of p lanes in `x` to those over `window`, at most four times as many, for the
    elements of `x` from `start` on; the four stretches may overlap."""
    end, rest = len(x), window - have
    one, two, three = start - min(have, rest) * p, start - min(2 * have, rest) * p, start - rest * p
    size = end - start
    a, b, c, d = x[start:end], x[one : one + size], x[two : two + size], x[three : three + size]
    if largest:
        _largest(a, b, c, d, out)
    else:
        _smallest(a, b, c, d, out)


@kernel
def _blank(x: F8, first: int, begin: int, end: int, window: int, need: int, at: int, top: F8, bottom: F8) -> None:
    """NaN into the lanes of rows begin .. end - 1, which are rows `at` .. of the outputs, that hold too few values."""
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
                top[at + r - begin, j] = top[at + r - begin, j] if count[j] >= need else np.nan
                bottom[at + r - begin, j] = bottom[at + r - begin, j] if count[j] >= need else np.nan


@kernel
def extremes_block(
    high: F8,
    low: F8,
    seg_age: I4,
    windows: I8,
    needs: I8,
    begin: int,
    end: int,
    scratch: F8,
    top: F8,
    bottom: F8,
    at: int,
) -> None:
    """Rows begin .. end - 1 of :func:`window_extremes` into rows `at` .. of `top` and `bottom` (windows, rows, pairs).

    scratch : (2, at least end - begin + longest window, pairs).
    """
    n, p = high.shape
    longest = windows[-1]
    first = max(0, begin - longest + 1)
    size, skip = (end - first) * p, (begin - first) * p
    missing = 0
    for largest in (True, False):
        x, out = (high, top) if largest else (low, bottom)
        found, free, have = scratch[0].reshape(-1)[:size], scratch[1].reshape(-1)[:size], 1
        missing = _replace(x.reshape(n * p)[first * p : end * p], -np.inf if largest else np.inf, found)
        for i in range(len(windows)):
            window, target = windows[i], out[i].reshape(-1)[at * p : at * p + size - skip]
            while have < window:
                wider = min(4 * have, window)
                start = (wider - 1) * p
                if wider == longest:  # the last: straight to where it belongs
                    from_ = max(start, skip)
                    if from_ < size:
                        _widen(found, have, wider, p, from_, largest, target[from_ - skip :])
                elif start < size:
                    _widen(found, have, wider, p, start, largest, free[start:size])
                found, free, have = free, found, wider
            if window < longest or longest == 1:
                target[:] = found[skip:]
    for i in range(len(windows)):
        if missing:
            _blank(high, first, begin, end, windows[i], needs[i], at, top[i], bottom[i])
        for r in range(begin, end):
            if seg_age[r] < windows[i] - 1:
                for j in range(p):
                    top[i, at + r - begin, j], bottom[i, at + r - begin, j] = np.nan, np.nan


def window_extremes(high: F8, low: F8, seg_age: I4, windows: Sequence[int], needs: Sequence[int]) -> list[Extremes]:
    """Maximum of `high` and minimum of `low` over rows r - W + 1 .. r for ascending windows W; NaN unless all of the
    rows lie in one segment and at least the window's need hold a value (both arrays are NULL together). Two arrays
    (n, pairs), C order, for each window.

    Extremes over 4 k rows are those over k rows now and k, 2 k and 3 k rows ago, in long loops over neighbours in
    memory; a window continues where the one before it ended.
    """
    shape = (len(windows), *high.shape)
    top, bottom = np.empty(shape), np.empty(shape)
    _window_extremes(high, low, seg_age, np.array(windows), np.array(needs), top, bottom)
    return list(zip(top, bottom, strict=True))


@kernel
def _window_extremes(high: F8, low: F8, seg_age: I4, windows: I8, needs: I8, top: F8, bottom: F8) -> None:
    n, p = high.shape
    rows = max(CHUNK, 2 * windows[-1])
    scratch = np.empty((2, rows + windows[-1], p))
    for begin in range(0, n, rows):
        end = min(begin + rows, n)
        extremes_block(high, low, seg_age, windows, needs, begin, end, scratch, top, bottom, begin)


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
