"""Steppers of what one series says of another: whole windows again for each row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.causation import CODES, LAGS, TERMS, improvement_row, logs, transfer_row
from bqx.features.kernels.jit import kernel
from bqx.features.live.block import Block
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@kernel
def _improvement(
    y: F8, x: F8, row: int, every: int, count: int, need: int, ys: F8, xs: F8, table: F8, means: F8, products: F8,
    out: F8,
) -> None:  # fmt: skip
    for i in range(len(y)):
        put(ys, row + i, y, i)
        put(xs, row + i, x, i)
        improvement_row(ys, xs, row + i, every, count, need, table, means, products, out, i)


@stepper("causation.improvement")
class Improvement(Stepper):
    def __init__(self, y: F8, x: F8, every: int, count: int, need: int) -> None:
        rows = (count - 1 + LAGS) * every + 1
        self.ys, self.xs = ring(rows, y.shape[1]), ring(rows, y.shape[1])
        self.table = np.zeros((count, TERMS + 1))

    def __call__(self, block: Block, y: F8, x: F8, every: int, count: int, need: int) -> F8:
        out = np.empty(y.shape)
        means, products = np.empty(TERMS + 1), np.empty((TERMS + 1, TERMS + 1))
        mine = (self.ys, self.xs, self.table, means, products)
        _improvement(y, x, block.row, every, count, need, *mine, out)
        return out


@kernel
def _transfer(codes: F8, row: int, window: int, need: int, memory: F8, table: F8, counts: I8, out: F8) -> None:
    for i in range(len(codes)):
        r = row + i
        put(memory, r, codes, i)
        transfer_row(memory, r, max(r - window + 1, 0), need, table, counts, out, i)


@stepper("causation.transfer_entropy")
class TransferEntropy(Stepper):
    def __init__(self, codes: F8, window: int, need: int) -> None:
        self.memory, self.table = ring(window, codes.shape[1]), logs(window)

    def __call__(self, block: Block, codes: F8, window: int, need: int) -> F8:
        out = np.empty(codes.shape)
        counts = np.zeros((4, CODES), dtype=np.int64)
        _transfer(codes, block.row, window, need, self.memory, self.table, counts, out)
        return out
