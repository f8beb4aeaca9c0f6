"""Detrended fluctuation analysis of the first order (Peng et al. 1994) over sliding windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.boxes import HELD_WITH_HOLES, errors, join, single, sum_strided
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import exp, log_ratio
from bqx.features.kernels.splice import splice, stretches

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

SMALLEST, SCALES = 4, 16
"""Values in the smallest box, and box sizes wanted before equal ones are dropped."""
TINY = 1e-18
"""A mean squared error of at most this (bps^2) is rounding noise."""


def box_sizes(window: int) -> list[int]:
    """At most SCALES whole numbers from SMALLEST to window / 4, evenly spaced in logarithm, each once."""
    step = log_ratio(window / (4 * SMALLEST), 1.0) / (SCALES - 1)
    return sorted({round(SMALLEST * exp(step * i)) for i in range(SCALES)})


def slope_weights(sizes: Sequence[int]) -> list[float]:
    """The least-squares slope of v on ln(size) is the sum of weight * v."""
    x = [log_ratio(float(n), 1.0) for n in sizes]
    mean = math.fsum(x) / len(x)
    spread = math.fsum((v - mean) * (v - mean) for v in x)
    return [(v - mean) / spread for v in x]


@kernel
def _add_log(total: F8, scale: float, weight: float, out: F8) -> None:
    for k in range(len(out)):
        v = total[k] * scale
        v = v if v > TINY else np.nan
        out[k] += weight * log_ratio(v, 1.0)


@kernel
def _add_log_of_ratio(total: F8, points: F8, weight: float, out: F8) -> None:
    for k in range(len(out)):
        n = points[k]
        v = total[k] * (1.0 / (n if n > 0.0 else 1.0))
        v = v if v > TINY else np.nan
        out[k] += weight * log_ratio(v, 1.0)


@kernel
def _window(
    error: F8, points: F8, n: int, window: int, weight: float, skip: int, holes: bool, work: F8, out: F8
) -> None:  # fmt: skip
    """Add weight * ln F(n)^2 / 2 of the windows that end in rows skip .. to `out`."""
    low = max(0, skip - window + 1)
    m = len(error) - low
    terms, spare = window // n, (work[0], work[1])
    total = work[2][:m]
    sum_strided(error[low:], n, terms, total, spare)
    if holes:
        number = work[3][:m]
        sum_strided(points[low:], n, terms, number, spare)
        _add_log_of_ratio(total[skip - low :], number[skip - low :], 0.5 * weight, out)
    else:
        _add_log(total[skip - low :], 1.0 / (n * terms), 0.5 * weight, out)


@kernel
def _lane(
    y: F8, skip: int, holes: bool, windows: I8, sizes: I8, weights: F8, levels: F8, spare: F8, work: F8, out: F8
) -> None:  # fmt: skip
    """Exponents of rows skip .. into out (windows, rows). weights (windows, sizes): 0 where a window has no such box.
    levels (powers of two, moments, rows), spare (2, moments, rows), work (6, rows)."""
    out[:] = 0.0
    single(y, holes, levels[0])
    have = 0
    for i in range(len(sizes)):
        n = sizes[i]
        while 2 << have <= n:
            join(levels[have], 1 << have, levels[have], 1 << have, holes, levels[have + 1])
            have += 1
        # the largest power of two is the newest part, what is left before it is put together from the smallest on
        done, box, into = 0, levels[0], 0
        for k in range(have):
            if n & (1 << k):
                if done:
                    join(box, done, levels[k], 1 << k, holes, spare[into])
                box = spare[into] if done else levels[k]
                into = 1 - into
                done += 1 << k
        errors(box, done, levels[have], 1 << have, holes, spare[into], work[4], work[5])
        for k in range(len(windows)):
            if weights[k, i] != 0.0:
                _window(work[4], work[5], n, windows[k], weights[k, i], skip, holes, work, out[k])


@kernel
def _emit(y: F8, ages: I4, skip: int, window: int, need: int, inside: bool, found: F8, out: F8, lane: int) -> None:
    """`found` where `need` of the window's values are valid."""
    count = 0
    begin = max(0, skip - window + 1)
    for r in range(begin, len(y)):
        count += 1 if y[r] == y[r] else 0
        if r >= skip:
            k = r - skip
            whole = not inside or ages[k] >= window - 1
            out[k, lane] = found[k] if count >= need and whole else np.nan
        gone = r - window + 1
        if gone >= begin:
            count -= 1 if y[gone] == y[gone] else 0


@kernel
def _stretch(
    lanes: F8, ages: I4, skip: int, windows: I8, needs: I8, inside: NDArray[np.bool_], sizes: I8, weights: F8, out: F8
) -> None:
    """Rows skip .. of `lanes` (pairs, rows) into out (windows, rows, pairs)."""
    p, m = lanes.shape
    most, levels = sizes[-1], 1
    while 1 << levels <= most:
        levels += 1
    power, spare = np.empty((levels, HELD_WITH_HOLES, m)), np.empty((2, HELD_WITH_HOLES, m))
    work, found = np.empty((6, m)), np.empty((len(windows), m - skip))
    for j in range(p):
        holes = False
        for r in range(m):
            holes |= lanes[j, r] != lanes[j, r]
        _lane(lanes[j], skip, holes, windows, sizes, weights, power, spare, work, found)
        for k in range(len(windows)):
            _emit(lanes[j], ages, skip, windows[k], needs[k], inside[k], found[k], out[k], j)


def fluctuation_exponents(
    y: F8, seg_age: I4, segment: I4, ends: F8, windows: Sequence[int], needs: Sequence[int], inside: Sequence[bool]
) -> F8:
    """Slope of ln F(n) on ln n for the last w levels of each window w: F(n)^2 is the mean squared error of lines
    through boxes of n values, laid from the window's end backwards; NaN below `need` valid values and where some F(n)
    is nothing.

    y is the profile: lines take the drift out that demeaning its changes would. Missing values: boxes fit what they
    have at its own place. A window that is `inside` lies in the segment; others reach over closures, whose gaps are
    removed (`splice`). Shape (windows, n, pairs).
    """
    out = np.empty((len(windows), *y.shape))
    chosen = [box_sizes(w) for w in windows]
    sizes = sorted({n for each in chosen for n in each})
    weights = np.zeros((len(windows), len(sizes)))
    for k, each in enumerate(chosen):
        for n, weight in zip(each, slope_weights(each), strict=True):
            weights[k, sizes.index(n)] = weight
    settings = (np.array(windows, dtype=np.int64), np.array(needs, dtype=np.int64), np.array(inside, dtype=np.bool_))
    tables = (np.array(sizes, dtype=np.int64), weights)
    back = max((w - 1 for w, seg in zip(windows, inside, strict=True) if not seg), default=0)
    for first, start, stop in stretches(seg_age, back):
        lanes = np.full((y.shape[1], back + stop - start), np.nan)
        lanes[:, back - (start - first) :] = splice(y, segment, ends, first, start, stop).T
        _stretch(lanes, seg_age[start:stop], back, *settings, *tables, out[:, start:stop])
    return out


@kernel
def fluctuation_step(
    x: F8, r: int, floor: int, window: int, need: int, sizes: I8, weights: F8, out: F8, row: int
) -> None:  # fmt: skip
    """The exponent of rows max(r - window + 1, floor) .. r of the ring `x` (row k at k % len(x)) into out[row]; sizes
    and weights (1, sizes) as :func:`box_sizes` and :func:`slope_weights` give them."""
    levels = 1
    while 1 << levels <= sizes[-1]:
        levels += 1
    y, none = np.empty(window), np.zeros(1, dtype=np.int32)
    power, spare = np.empty((levels, HELD_WITH_HOLES, window)), np.empty((2, HELD_WITH_HOLES, window))
    work, found = np.empty((6, window)), np.empty((1, 1))
    windows = np.full(1, window, dtype=np.int64)
    for j in range(x.shape[1]):
        holes = False
        for k in range(window):
            at = r - window + 1 + k
            y[k] = x[at % len(x), j] if at >= floor else np.nan
            holes |= y[k] != y[k]
        _lane(y, window - 1, holes, windows, sizes, weights, power, spare, work, found)
        _emit(y, none, window - 1, window, need, False, found[0], out[row : row + 1], j)
