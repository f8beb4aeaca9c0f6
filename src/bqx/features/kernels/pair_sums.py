"""Correlations of all pairs of lanes over one moving window, each over the rows where both lanes have a value.

Lanes share their sums; a pair has its own sum of products only, and what its lanes' sums hold of rows where the other
has no value is kept apart and taken off. Sums are not shifted: series that vary about zero are meant. As in
kernels/sums.py they restart at fixed phases and additions carry their rounding error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.products import swap
from bqx.features.kernels.sums import RESTART, equal_run_step

F8 = NDArray[np.float64]

X, XX, COUNT, ROOT, OLD, NEW, RUN, LAST = 0, 2, 4, 5, 6, 7, 8, 9
"""Rows of the lanes' state (LANE_ROWS, lanes): sums of x and x^2, each followed by its rounding error; values; one over
the root of the variance; the row that leaves and the row that enters; run of equal values and the latest one."""
LANE_ROWS = 10
PRODUCT, PRODUCT_OLD, PRODUCT_NEW = 0, 2, 3
"""Rows of the pairs' state (PRODUCT_ROWS, pairs of lanes), the sum of products followed by its rounding error."""
PRODUCT_ROWS = 4
LOST, LOST_SQUARES, LOST_COUNT = 0, 2, 4
"""Of x, x^2 and 1 over the rows where lane i has a value and lane j has none; entries (i, LOST_ROWS, j)."""
LOST_ROWS = 5

Sums = tuple[F8, F8, F8]
"""State of lanes, of pairs of lanes (0, 1), (0, 2) ... (1, 2) ..., and what pairs lack of their lanes' sums."""


@kernel
def pair_sums(p: int) -> Sums:
    """An empty state for p lanes."""
    lanes = np.zeros((LANE_ROWS, p))
    lanes[LAST, :] = np.nan
    return lanes, np.zeros((PRODUCT_ROWS, p * (p - 1) // 2)), np.zeros((p, LOST_ROWS, p))


@kernel
def pair_number(i: int, j: int, p: int) -> int:
    """Place of the pair (i, j), i < j, among those of p lanes."""
    return i * (2 * p - i - 1) // 2 + j - i - 1


@kernel
def _products(lanes: F8, at: int, products: F8, to: int) -> None:
    """Of all pairs, from row `at`; sliced once a lane, for only contiguous loops vectorise here (2.2 to 0.7 ns)."""
    p = lanes.shape[1]
    k = 0
    for i in range(p - 1):
        v, count = lanes[at, i], p - 1 - i
        others, out = lanes[at, i + 1 :], products[to, k : k + count]
        for j in range(count):
            out[j] = v * others[j]
        k += count


@kernel
def _lose(x: F8, row: int, sign: float, lanes: F8, at: int, lost: F8) -> None:
    """Row `row`, whose values stand in lanes[at] with 0 for none: what lanes have where others lack."""
    p = x.shape[1]
    for j in range(p):
        if x[row, j] != x[row, j]:
            for i in range(p):
                if x[row, i] == x[row, i]:
                    v = lanes[at, i]
                    swap(lost[i], LOST, j, 0.0, sign * v)
                    swap(lost[i], LOST_SQUARES, j, 0.0, sign * (v * v))
                    lost[i, LOST_COUNT, j] += sign


@kernel
def _slide(x: F8, old: int, new: int, leaves: bool, sums: Sums) -> None:
    """Row `new` in and, if it `leaves`, row `old` out."""
    lanes, products, lost = sums
    p = x.shape[1]
    gone = 0
    for j in range(p):
        u, v = x[old, j], x[new, j]
        out = (u == u) & leaves
        lanes[OLD, j] = u if out else 0.0
        lanes[NEW, j] = v if v == v else 0.0
        lanes[COUNT, j] += (1.0 if v == v else 0.0) - (1.0 if out else 0.0)
        gone += (1 if (u != u) & leaves else 0) + (1 if v != v else 0)
    for j in range(p):
        u, v = lanes[OLD, j], lanes[NEW, j]
        swap(lanes, X, j, u, v)
        swap(lanes, XX, j, u * u, v * v)
    _products(lanes, OLD, products, PRODUCT_OLD)
    _products(lanes, NEW, products, PRODUCT_NEW)
    for k in range(products.shape[1]):
        swap(products, PRODUCT, k, products[PRODUCT_OLD, k], products[PRODUCT_NEW, k])
    if gone:
        if leaves:
            _lose(x, old, -1.0, lanes, OLD, lost)
        _lose(x, new, 1.0, lanes, NEW, lost)


@kernel
def pair_sums_step(x: F8, r: int, seg_age: int, window: int, sums: Sums) -> None:
    """Make `sums` cover rows max(r - window + 1, r - seg_age) .. r of the ring `x` (row k at k % len(x))."""
    cap = len(x)
    lanes = sums[0]
    if seg_age == 0:
        for j in range(x.shape[1]):
            lanes[RUN, j], lanes[LAST, j] = 0.0, np.nan
    equal_run_step(x, r % cap, lanes[RUN], lanes[LAST])
    if seg_age % RESTART != 0:
        _slide(x, (r - window) % cap, r % cap, seg_age >= window, sums)
        return
    lanes[:RUN, :], sums[1][:], sums[2][:] = 0.0, 0.0, 0.0
    for k in range(max(r - window + 1, r - seg_age), r + 1):
        _slide(x, k % cap, k % cap, False, sums)


@kernel
def _correlation(n: float, a: tuple[float, float], b: tuple[float, float], ab: float) -> float:
    """From sums of x and x^2 of both and of their product; NaN where one does not vary."""
    least = (TINY * n) * (TINY * n)
    aa, bb = n * a[1] - a[0] * a[0], n * b[1] - b[0] * b[0]
    c: float = (n * ab - a[0] * b[0]) / np.sqrt(aa * bb)
    c = c if c < 1.0 else 1.0
    c = c if c > -1.0 else -1.0
    return c if (aa > least) & (bb > least) else np.nan


@kernel
def _joint(i: int, j: int, k: int, need: float, sums: Sums) -> float:
    """The correlation of lanes i < j, pair k, of which one lacks values in the window."""
    lanes, products, lost = sums
    n = lanes[COUNT, i] - lost[i, LOST_COUNT, j]
    flat = (lanes[RUN, i] >= lanes[COUNT, i]) | (lanes[RUN, j] >= lanes[COUNT, j])
    if n < need or flat:
        return np.nan
    mine, other = lost[i], lost[j]
    a = (lanes[X, i] - mine[LOST, j]) + (lanes[X + 1, i] - mine[LOST + 1, j])
    aa = (lanes[XX, i] - mine[LOST_SQUARES, j]) + (lanes[XX + 1, i] - mine[LOST_SQUARES + 1, j])
    b = (lanes[X, j] - other[LOST, i]) + (lanes[X + 1, j] - other[LOST + 1, i])
    bb = (lanes[XX, j] - other[LOST_SQUARES, i]) + (lanes[XX + 1, j] - other[LOST_SQUARES + 1, i])
    return _correlation(n, (a, aa), (b, bb), products[PRODUCT, k] + products[PRODUCT + 1, k])


@kernel
def pair_correlations(sums: Sums, seg_age: int, window: int, need: float, out: F8) -> None:
    """Correlations of all pairs over the window that `sums` covers into `out` (pairs of lanes,), in the order of
    :data:`Sums`: NaN before the window lies in the segment, below `need` common rows and where either lane is flat."""
    lanes, products, _ = sums
    p = lanes.shape[1]
    if seg_age < window - 1:
        out[:] = np.nan
        return
    n = float(window)
    least = (TINY * n) * (TINY * n)
    short = 0
    for j in range(p):
        u = lanes[X, j] + lanes[X + 1, j]
        variance = n * (lanes[XX, j] + lanes[XX + 1, j]) - u * u
        ok = (variance > least) & (lanes[RUN, j] < n)
        lanes[ROOT, j] = 1.0 / np.sqrt(variance) if ok else np.nan
        lanes[NEW, j] = u
        short += 1 if lanes[COUNT, j] < n else 0
    _products(lanes, NEW, products, PRODUCT_OLD)
    _products(lanes, ROOT, products, PRODUCT_NEW)
    for k in range(products.shape[1]):
        joint = n * (products[PRODUCT, k] + products[PRODUCT + 1, k]) - products[PRODUCT_OLD, k]
        c = joint * products[PRODUCT_NEW, k]
        c = 1.0 if c > 1.0 else c
        out[k] = -1.0 if c < -1.0 else c
    if short:
        for i in range(p - 1):
            for j in range(i + 1, p):
                if (lanes[COUNT, i] < n) | (lanes[COUNT, j] < n):
                    k = pair_number(i, j, p)
                    out[k] = _joint(i, j, k, need, sums)
