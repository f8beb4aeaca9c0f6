"""Steppers of what is watched of the data: means of days, their drift, missing minutes, standing quotes; variances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.drift import HELD, drift_row, mean_across_row, recent_share_from, standing_from
from bqx.features.kernels.garch import garch_from
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.sums import STATE_ROWS
from bqx.features.live.block import Block
from bqx.features.live.steppers.recent import Recent, ages
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def _mean(x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, out: F8) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        mean_across_row(memory, row + i, seg_age[i], window, need, state, out, i)


@stepper("drift.mean_across")
class MeanAcross(Stepper):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int) -> None:
        self.memory, self.state = ring(window + 1, x.shape[1]), np.zeros((STATE_ROWS, x.shape[1]))

    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(x.shape)
        _mean(x, seg_age, block.row, window, need, self.memory, self.state, out)
        return out


@kernel
def _drift(x: F8, row: int, spacing: int, count: int, memory: F8, out: F8) -> None:
    scratch = np.empty((2, x.shape[1]))
    for i in range(len(x)):
        put(memory, row + i, x, i)
        drift_row(memory, row + i, spacing, count, scratch, out, i)


@stepper("drift.drift")
class Drift(Stepper):
    def __init__(self, x: F8, spacing: int, count: int) -> None:
        self.memory = ring(spacing * count + 1, x.shape[1])

    def __call__(self, block: Block, x: F8, spacing: int, count: int) -> F8:
        out = np.empty(x.shape)
        _drift(x, block.row, spacing, count, self.memory, out)
        return out


@stepper("drift.recent_share")
class RecentShare(Recent):
    def __init__(self, flag: F8, seg_age: I4, window: int) -> None:
        super().__init__(flag, window - 1)

    def __call__(self, block: Block, flag: F8, seg_age: I4, window: int) -> F8:
        out, rows = np.empty(flag.shape), len(self.memory)
        recent_share_from(self.with_memory(flag), ages(seg_age, rows), rows, window, out)
        return out


@stepper("drift.standing")
class Standing(Stepper):
    def __init__(self, bid: F8, ask: F8, seg_age: I4) -> None:
        self.held = np.full((HELD, bid.shape[1]), np.nan)

    def __call__(self, block: Block, bid: F8, ask: F8, seg_age: I4) -> F8:
        out = np.empty(bid.shape)
        standing_from(bid, ask, seg_age, self.held, out)
        return out


@stepper("garch.garch")
class Garch(Stepper):
    """held : variances expected of the next changes."""

    def __init__(self, x: F8, values: F8, which: I4, fresh: NDArray[np.bool_]) -> None:
        self.held = np.full(x.shape[1], np.nan)

    def __call__(self, block: Block, x: F8, values: F8, which: I4, fresh: NDArray[np.bool_]) -> F8:
        out = np.empty(x.shape)
        garch_from(x, values, which, fresh, self.held, out)
        return out
