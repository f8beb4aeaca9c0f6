"""Order statistics of windows inside a segment, from one sorted list a lane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

NORMAL = 1.4826
"""Median absolute deviations in one standard deviation of a normal distribution."""


@kernel
def _up(source: F8, to: F8) -> None:
    for k in range(len(to)):
        to[k] = source[k]


@kernel
def _down(source: F8, to: F8) -> None:
    for k in range(len(to) - 1, -1, -1):
        to[k] = source[k]


@kernel
def sorted_step(x: F8, r: int, window: int, floor: int, held: F8, count: I8) -> None:
    """Make `held` (pairs, window), sorted in each lane with infinities behind its `count` values, cover rows
    max(r - window + 1, floor) .. r of the ring `x` (row k at k % len(x)). It covered the rows up to r - 1 before; it is
    emptied where the floor is r."""
    cap = len(x)
    leaves = r - window >= floor
    for j in range(x.shape[1]):
        if r == floor:
            for k in range(window):
                held[j, k] = np.inf
            count[j] = 0
        new = x[r % cap, j] + 0.0  # -0.0 and 0.0 are one value
        old = x[(r - window) % cap, j] if leaves else np.nan
        enters, goes = new == new, old == old
        count[j] += (1 if enters else 0) - (1 if goes else 0)
        gone, value = old if goes else np.inf, new if enters else np.inf
        at, to = 0, 0
        for k in range(window):
            at += 1 if held[j, k] < gone else 0
            to += 1 if held[j, k] < value else 0
        # what lies between the place of the old value and that of the new one moves up or down by one
        if gone < value:
            to -= 1
            _up(held[j, at + 1 : to + 1], held[j, at:to])
        else:
            _down(held[j, to:at], held[j, to + 1 : at + 1])
        held[j, to] = value


def quantile_places(percents: I8, window: int) -> tuple[I8, F8]:
    """Type 7 of Hyndman & Fan (1996): linear between the order statistics around (n - 1) percent / 100. Their numbers
    (2, percents, window + 1) and the weight of the upper one (percents, window + 1), by n."""
    n = np.arange(window + 1)[None, :]
    at = np.maximum(n - 1, 0) * percents[:, None]
    low = at // 100
    return np.stack([low, np.minimum(low + 1, np.maximum(n - 1, 0))]), (at % 100) / 100.0


@kernel
def _farther(held: F8, j: int, at: int, k: int, middle: float) -> bool:
    """Whether value `at` is farther from the middle than value at + k."""
    return bool(middle - held[j, at] > held[j, at + k] - middle)


@kernel
def median_deviation(held: F8, j: int, n: int) -> float:
    """Median of abs(value - median) of a sorted lane: its n // 2 + 1 nearest values are neighbours in the list, and
    halving, without branches, finds where they begin."""
    middle = 0.5 * (held[j, (n - 1) // 2] + held[j, n // 2])
    k = n // 2 + 1
    low, length = 0, n - k
    while length > 1:
        half = length // 2
        low += half if _farther(held, j, low + half - 1, k, middle) else 0
        length -= half
    if length == 1 and _farther(held, j, low, k, middle):
        low += 1
    left, right = middle - held[j, low], held[j, low + k - 1] - middle
    outer: float = max(left, right)
    if n % 2 == 1:
        return outer
    # the k nearest end at `outer`; the one before is the larger of what is left at either end
    inner = max(middle - held[j, low + 1], right) if left >= right else max(left, held[j, low + k - 2] - middle)
    value: float = 0.5 * (inner + outer)
    return value


@kernel
def order_step(
    x: F8, r: int, seg_age: int, window: int, need: int, places: I8, parts: F8, held: F8, count: I8, out: F8, mad: F8,
    row: int,
) -> None:  # fmt: skip
    """Take bar r in; emit the quantiles into out[:, row] and 1.4826 median absolute deviations into mad[row].

    places, parts : see :func:`quantile_places`. A `mad` of no rows is not wanted.
    """
    sorted_step(x, r, window, r - seg_age, held, count)
    inside = seg_age >= window - 1
    for j in range(x.shape[1]):
        n = count[j]
        ok = inside and n >= need
        for q in range(len(parts)):
            low, high = held[j, places[0, q, n]], held[j, places[1, q, n]]
            out[q, row, j] = low + (high - low) * parts[q, n] if ok else np.nan
    if len(mad) > 0:
        for j in range(x.shape[1]):
            ok = inside and count[j] >= need
            mad[row, j] = NORMAL * median_deviation(held, j, count[j]) if ok else np.nan


def order_statistics(x: F8, seg_age: I4, window: int, need: int, percents: I8, spread: bool) -> tuple[F8, F8]:
    """Quantiles (percents, n, pairs) and, with `spread`, 1.4826 median absolute deviations (n, pairs), else (0, 0), of
    the last `window` rows of the segment; NaN below `need` valid values."""
    out = np.empty((len(percents), *x.shape))
    mad = np.empty(x.shape if spread else (0, 0))
    places, parts = quantile_places(percents, window)
    _order_statistics(x, seg_age, window, need, places, parts, out, mad)
    return out, mad


@kernel
def _order_statistics(x: F8, seg_age: I4, window: int, need: int, places: I8, parts: F8, out: F8, mad: F8) -> None:
    n, p = x.shape
    held, count = np.empty((p, window)), np.zeros(p, dtype=np.int64)
    for r in range(n):
        order_step(x, r, seg_age[r], window, need, places, parts, held, count, out, mad, r)
