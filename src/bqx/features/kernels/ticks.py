"""The tick test: which way the price last moved (Lee & Ready 1991)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.moments import TINY

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def tick_step(change: F8, row: int, seg_age: int, sign: F8, out: F8, at: int) -> None:
    """Take one row in and emit the sign of the segment's last change into out[at], NaN before the first. NaN lanes
    hold; a change of at most 1e-9 bps is rounding of equal prices."""
    for j in range(len(sign)):
        d = change[row, j]
        held = 0.0 if seg_age == 0 else sign[j]
        held = 1.0 if d > TINY else held
        held = -1.0 if d < -TINY else held
        sign[j] = held
        out[at, j] = held if held != 0.0 else np.nan


@batch
def tick_signs(out: F8, change: F8, seg_age: I4) -> None:
    """:func:`tick_step` over all bars. Shape (n, pairs)."""
    sign = np.zeros(change.shape[1])
    for r in range(len(change)):
        tick_step(change, r, seg_age[r], sign, out, r)
