"""How far the close is outside the range of the bars before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import divides
from bqx.features.kernels.jit import batch, kernel

F8 = NDArray[np.float64]


@kernel
def breakout_row(close: F8, top: F8, bottom: F8, unit: F8, r: int, before: int, out: F8, row: int) -> None:
    """Row r of `close` and `unit` against row `before` of the extremes into out[row]."""
    for j in range(close.shape[1]):
        c, b = close[r, j], unit[r, j]
        above, below = c - top[before, j], c - bottom[before, j]
        a = above if above > 0.0 else below if below < 0.0 else 0.0
        ok = (above == above) & (below == below) & divides(b, a)
        out[row, j] = a / b if ok else np.nan


@batch
def breakout(out: F8, close: F8, top: F8, bottom: F8, unit: F8) -> None:
    """Close less the largest (smallest) of the window that ended one bar ago, where it is above (below), else 0, in
    `unit`s; NaN where one of the four is, or the unit is nothing. The windows lie in one segment; at its first bar the
    row before is another's. Shape (n, pairs)."""
    if len(close) > 0:
        out[0] = np.nan
    for r in range(1, len(close)):
        breakout_row(close, top, bottom, unit, r, r - 1, out, r)
