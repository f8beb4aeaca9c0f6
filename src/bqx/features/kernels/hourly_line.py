"""Residuals of least-squares lines that are drawn anew at fixed bars and stand until the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.products import AB, BB, COUNT, PRODUCT_ROWS, SHIFT, SHIFT_B, A, B, products_step
from bqx.features.kernels.sums import RESTART, equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

MEAN, MEAN_B, SLOPE = range(3)
LINE_ROWS = 3
"""A line: mean of a, mean of b, slope; NaN where there is none."""


@kernel
def draw(state: F8, run: F8, need: int, line: F8) -> None:
    """Lines a = mean + slope (b - mean of b) of what `state` covers (see products.py); NaN below `need` rows and where
    b does not move. run : of equal values of b."""
    for j in range(state.shape[1]):
        n = state[COUNT, j]
        u, v = state[A, j] + state[A + 1, j], state[B, j] + state[B + 1, j]
        vv = n * (state[BB, j] + state[BB + 1, j]) - v * v
        uv = n * (state[AB, j] + state[AB + 1, j]) - u * v
        ok = (n >= need) & (run[j] < n) & (vv > (TINY * n) * (TINY * n))
        line[MEAN, j] = state[SHIFT, j] + u / n if ok else np.nan
        line[MEAN_B, j] = state[SHIFT_B, j] + v / n
        line[SLOPE, j] = uv / vv


@kernel
def residual_step(
    a: F8, b: F8, r: int, floor: int, age: int, begins: bool, window: int, need: int, every: int,
    state: F8, run: F8, last: F8, line: F8, out: F8, row: int,
) -> None:  # fmt: skip
    """Take bar r of the rings `a` and `b` (row k at k % len, NaN in the same places), `age` bars into its segment, in;
    its distance from the line in force into out[row]. The line is drawn anew where age % every == 0, from the last
    `window` bars, none before row `floor`. begins : the sums start here."""
    now = r % len(a)
    equal_run_step(b, now, run, last)
    products_step(a, b, r, window, floor, begins or age % RESTART == 0, state)
    if age % every == 0:
        draw(state, run, need, line)
    for j in range(a.shape[1]):
        out[row, j] = (a[now, j] - line[MEAN, j]) - line[SLOPE, j] * (b[now, j] - line[MEAN_B, j])


@kernel
def _residuals(a: F8, b: F8, skip: int, age: int, window: int, need: int, every: int, out: F8) -> None:
    p = a.shape[1]
    state, line = np.zeros((PRODUCT_ROWS, p)), np.full((LINE_ROWS, p), np.nan)
    run, last = np.zeros(p), np.full(p, np.nan)
    for r in range(skip):
        equal_run_step(b, r, run, last)
    for r in range(skip, len(a)):
        since = r - skip
        residual_step(
            a, b, r, 0, age + since, since == 0, window, need, every, state, run, last, line, out, since
        )  # fmt: skip


def residuals(a: F8, b: F8, skip: int, age: int, window: int, need: int, every: int, out: F8) -> None:
    """out (rows - skip, pairs) = a - alpha - beta b for the rows from `skip` on, the first of which is `age` bars into
    its segment: least squares over the last `window` rows at each bar whose age is a multiple of `every`, in force
    until the next (Engle & Granger 1987, step 1). NaN where a or b is, before the first such bar, below `need` rows
    with both, and where b does not move. a, b : (rows, pairs) in one system of coordinates."""
    hole = np.isnan(a) | np.isnan(b)
    _residuals(np.where(hole, np.nan, a), np.where(hole, np.nan, b), skip, age, window, need, every, out)
