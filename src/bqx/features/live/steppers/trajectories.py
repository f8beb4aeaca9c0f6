"""Steppers of recursions: this segment's trajectory, and those of the next ones alongside over their head starts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.ewma import ewma_step
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.smooth import rebase_step, smooth_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.rings import begins, slots
from bqx.features.live.tape import Stepper, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


class Mean(Stepper):
    """count, mean : a row a trajectory."""

    def __init__(self, lanes: int, burn: int) -> None:
        self.count, self.mean = np.zeros((slots(burn), lanes)), np.zeros((slots(burn), lanes))


@kernel
def _deviation(
    change: F8, row: int, number: int, opens: I8, alpha: float, seed: int, need: int, burn: int, count: F8, mean: F8,
    out: F8,
) -> None:  # fmt: skip
    now = 0
    for i in range(len(change)):
        r = row + i
        while opens[now + 1] <= r:
            now += 1
        q = now
        while opens[q] - burn <= r or q == now:
            s = (number + q) % len(count)
            if begins(opens, q, burn, r):
                count[s], mean[s] = 0.0, 0.0
            if q == now:
                for j in range(change.shape[1]):
                    out[i, j] = np.sqrt(mean[s, j]) if count[s, j] >= need else np.nan
            ewma_step(change, i, alpha, seed, count[s], mean[s])
            q += 1


@stepper("ewma.ewma_deviation")
class Deviation(Mean):
    def __init__(self, change: F8, seg_age: I4, alpha: float, seed: int, need: int, burn: int) -> None:
        super().__init__(change.shape[1], burn)

    def __call__(self, block: Block, change: F8, seg_age: I4, alpha: float, seed: int, need: int, burn: int) -> F8:
        out = np.empty(change.shape)
        place = (block.row, block.number, block.opens)
        _deviation(change, *place, alpha, seed, need, burn, self.count, self.mean, out)
        return out


@kernel
def _smooth(
    x: F8, row: int, number: int, opens: I8, ends: F8, alpha: float, seed: int, need: int, burn: int, count: F8,
    mean: F8, out: F8,
) -> None:  # fmt: skip
    now, levels = 0, len(ends) > 0
    for i in range(len(x)):
        r = row + i
        while opens[now + 1] <= r:
            now += 1
        q = now
        while opens[q] - burn <= r or q == now:
            s = (number + q) % len(count)
            if begins(opens, q, burn, r):
                count[s], mean[s] = 0.0, 0.0
            elif levels and opens[now] == r:
                rebase_step(ends, number + now - 1, mean[s])
            smooth_step(x, i, alpha, seed, count[s], mean[s])
            q += 1
        s = (number + now) % len(count)
        for j in range(x.shape[1]):
            v = x[i, j]
            out[i, j] = mean[s, j] if v == v and count[s, j] >= need else np.nan


@stepper("smooth.smooth")
class Smooth(Mean):
    def __init__(
        self, x: F8, seg_age: I4, segment: I4, ends: F8, alpha: float, seed: int, need: int, burn: int
    ) -> None:
        super().__init__(x.shape[1], burn)

    def __call__(
        self, block: Block, x: F8, seg_age: I4, segment: I4, ends: F8, alpha: float, seed: int, need: int, burn: int
    ) -> F8:
        out = np.empty(x.shape)
        place = (block.row, block.number, block.opens)
        _smooth(x, *place, ends, alpha, seed, need, burn, self.count, self.mean, out)
        return out
