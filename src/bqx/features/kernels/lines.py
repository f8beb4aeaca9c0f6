"""Least-squares lines over windows: the valid bars at their own places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.positions import KZ, ZZ, Levels, State, Z, position_state, position_step, with_past
from bqx.features.kernels.sums import equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


def slope(x: F8, seg_age: I4, window: int, need: int, across: bool, levels: Levels | None = None) -> F8:
    """Slope, per bar, of the least-squares line through the valid values of the last `window` rows; NaN below `need` of
    them. The whole window must lie in the segment, or, `across`, rows of earlier segments count: a series whose zero
    moves at closures then passes `levels`. Exactly 0 where all values are equal. Shape (n, pairs)."""
    return line(x, seg_age, window, need, across, levels)[0]


def line(x: F8, seg_age: I4, window: int, need: int, across: bool, levels: Levels | None = None) -> tuple[F8, F8]:
    """:func:`slope` and R^2, which is NaN where the values are equal (runs decide) or deviate by at most 1e-9 (TINY).
    Shapes (n, pairs)."""
    out = (np.empty(x.shape), np.empty(x.shape))
    for part, begin, rows in with_past(x, seg_age, window - 1 if across else 0, levels if across else None):
        _line(part, begin, window, need, 0 if across else window - 1, (out[0][rows], out[1][rows]))
    return out


@kernel
def line_step(
    y: F8, r: int, age: int, window: int, need: int, youngest: int, floor: int, state: State, run: F8, last: F8,
    out: tuple[F8, F8], row: int,
) -> None:  # fmt: skip
    """Take bar r of the ring `y` in; emit slope and R^2 into row `row`. youngest : age below which nothing is emitted.
    floor : first row that may count. run, last : see `equal_run_step`."""
    equal_run_step(y, r % len(y), run, last)
    c = position_step(y, r, age, window, window, floor, state) - 0.5 * (window - 1)
    total, holes = state[2], state[5]
    spread = float(window) * (window * window - 1) / 12.0
    enough = float(need) if age >= youngest else np.inf
    for j in range(y.shape[1]):
        n = window - holes[0, j]
        u = c * holes[0, j] - holes[1, j]
        uu = spread - ((holes[2, j] - 2.0 * c * holes[1, j]) + c * c * holes[0, j])
        mean = total[Z, j] / n
        uz = (total[KZ, j] - c * total[Z, j]) - u * mean
        uu = uu - u * (u / n)
        b = 0.0 if run[j] >= n else uz / uu
        out[0][row, j] = b if n >= enough else np.nan
    for j in range(y.shape[1]):
        n = window - holes[0, j]
        u = c * holes[0, j] - holes[1, j]
        uu = spread - ((holes[2, j] - 2.0 * c * holes[1, j]) + c * c * holes[0, j])
        mean = total[Z, j] / n
        uz = (total[KZ, j] - c * total[Z, j]) - u * mean
        uu = uu - u * (u / n)
        zz = total[ZZ, j] - total[Z, j] * mean
        share = uz * uz / (uu * zz)
        share = share if share < 1.0 else 1.0
        ok = (n >= enough) & (run[j] < n) & (zz > (TINY * TINY) * n)
        out[1][row, j] = share if ok else np.nan


@kernel
def _line(y: F8, begin: int, window: int, need: int, youngest: int, out: tuple[F8, F8]) -> None:
    """Rows `begin` .. of `y` are a segment, those before it the past it may use."""
    n, p = y.shape
    state, run, last = position_state(window, p), np.zeros(p), np.full(p, np.nan)
    for r in range(begin):
        equal_run_step(y, r, run, last)
    for r in range(begin, n):
        line_step(y, r, r - begin, window, need, youngest, 0, state, run, last, out, r - begin)
