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
def _place(held: F8, j: int, count: int, value: float) -> int:
    """How many of the lane's sorted values are below `value`; by halving, without branches."""
    base, length = 0, count
    while length > 1:
        half = length // 2
        base += half if held[j, base + half - 1] < value else 0
        length -= half
    return base + 1 if length == 1 and held[j, base] < value else base


@kernel
def sorted_step(x: F8, r: int, window: int, floor: int, held: F8, count: I8) -> None:
    """Make `held` (pairs, window), sorted in each lane, cover rows max(r - window + 1, floor) .. r of the ring `x`
    (row k at k % len(x)). It covered the rows up to r - 1 before; it is emptied where the floor is r."""
    cap = len(x)
    leaves = r - window >= floor
    for j in range(x.shape[1]):
        n = 0 if r == floor else count[j]
        new = x[r % cap, j] + 0.0  # -0.0 and 0.0 are one value
        old = x[(r - window) % cap, j] if leaves else np.nan
        enters, goes = new == new, old == old
        if enters and goes:
            a, b = _place(held, j, n, old), _place(held, j, n, new)
            if b > a:
                for k in range(a, b - 1):
                    held[j, k] = held[j, k + 1]
                held[j, b - 1] = new
            else:
                for k in range(a, b, -1):
                    held[j, k] = held[j, k - 1]
                held[j, b] = new
        elif enters:
            b = _place(held, j, n, new)
            for k in range(n, b, -1):
                held[j, k] = held[j, k - 1]
            held[j, b] = new
            n += 1
        elif goes:
            n -= 1
            for k in range(_place(held, j, n + 1, old), n):
                held[j, k] = held[j, k + 1]
        count[j] = n


@kernel
def quantile(held: F8, j: int, n: int, percent: int) -> float:
    """Type 7 of Hyndman & Fan (1996): linear between the order statistics around (n - 1) percent / 100."""
    at = (n - 1) * percent
    k, rest = at // 100, at % 100
    low: float = held[j, k]
    if rest == 0:
        return low
    value: float = low + (held[j, k + 1] - low) * (rest / 100.0)
    return value


@kernel
def median_deviation(held: F8, j: int, n: int) -> float:
    """Median of abs(value - median) of a sorted lane, by growing the interval around the median."""
    middle = 0.5 * (held[j, (n - 1) // 2] + held[j, n // 2])
    # the k nearest values are k neighbours in the list: halve on where they begin
    k = n // 2 + 1
    low, high = 0, n - k
    while low < high:
        at = (low + high) // 2
        if middle - held[j, at] > held[j, at + k] - middle:
            low = at + 1
        else:
            high = at
    left, right = middle - held[j, low], held[j, low + k - 1] - middle
    outer: float = max(left, right)
    if n % 2 == 1:
        return outer
    # the k nearest end at `outer`; the one before is the larger of what is left at either end
    if left >= right:
        inner = max(middle - held[j, low + 1], right) if k > 1 else outer
    else:
        inner = max(left, held[j, low + k - 2] - middle) if k > 1 else outer
    value: float = 0.5 * (inner + outer)
    return value


@kernel
def order_step(
    x: F8, r: int, seg_age: int, window: int, need: int, percents: I8, held: F8, count: I8, out: F8, mad: F8, row: int
) -> None:
    """Take bar r in; emit the quantiles into out[:, row] and 1.4826 median absolute deviations into mad[row]."""
    sorted_step(x, r, window, r - seg_age, held, count)
    for j in range(x.shape[1]):
        n = count[j]
        ok = n >= need and seg_age >= window - 1
        for q in range(len(percents)):
            out[q, row, j] = quantile(held, j, n, percents[q]) if ok else np.nan
        if len(mad) > 0:
            mad[row, j] = NORMAL * median_deviation(held, j, n) if ok else np.nan


def order_statistics(x: F8, seg_age: I4, window: int, need: int, percents: I8, spread: bool) -> tuple[F8, F8]:
    """Quantiles (percents, n, pairs) and, with `spread`, 1.4826 median absolute deviations (n, pairs), else (0, 0), of
    the last `window` rows of the segment; NaN below `need` valid values."""
    out = np.empty((len(percents), *x.shape))
    mad = np.empty(x.shape if spread else (0, 0))
    _order_statistics(x, seg_age, window, need, percents, out, mad)
    return out, mad


@kernel
def _order_statistics(x: F8, seg_age: I4, window: int, need: int, percents: I8, out: F8, mad: F8) -> None:
    n, p = x.shape
    held, count = np.empty((p, window)), np.zeros(p, dtype=np.int64)
    for r in range(n):
        order_step(x, r, seg_age[r], window, need, percents, held, count, out, mad, r)
