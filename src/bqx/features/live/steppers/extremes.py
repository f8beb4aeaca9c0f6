"""Steppers of exact extremes: the window is looked at anew for each row, which any algorithm must agree with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.live.block import Block
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def _previous(memory: F8, x: F8, seg_age: I4, row: int, window: int, need: int, count: F8, high: F8, low: F8) -> None:
    cap, p = memory.shape
    for i in range(len(x)):
        r = row + i
        high[i], low[i] = -np.inf, np.inf
        count[:] = 0.0
        if seg_age[i] >= window:
            for k in range(r - window, r):
                for j in range(p):
                    v = memory[k % cap, j]
                    high[i, j] = v if v > high[i, j] else high[i, j]
                    low[i, j] = v if v < low[i, j] else low[i, j]
                    count[j] += 1.0 if v == v else 0.0
        for j in range(p):
            enough = count[j] >= need and seg_age[i] >= window
            high[i, j] = high[i, j] if enough else np.nan
            low[i, j] = low[i, j] if enough else np.nan
        put(memory, r, x, i)


@stepper("extremes.previous_extremes")
class PreviousExtremes(Stepper):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int) -> None:
        self.memory, self._count = ring(window, x.shape[1]), np.empty(x.shape[1])

    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> tuple[F8, F8]:
        high, low = np.empty(x.shape), np.empty(x.shape)
        _previous(self.memory, x, seg_age, block.row, window, need, self._count, high, low)
        return high, low
