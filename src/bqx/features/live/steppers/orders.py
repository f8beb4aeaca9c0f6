"""Steppers of order in a window: ranks, quantiles, patterns, runs of signs. Any algorithm gives the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.patterns import NONE, PATTERNS, TIE, entropy_step, entropy_table, pattern
from bqx.features.kernels.quantiles import order_step, quantile_places
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.kernels.runs import run_lists, signs_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held, empties, put_row
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

MANY = 256
"""Rows of a block from which on the batch kernel ranks it together with the window before it."""


@kernel
def _rank(lane: NDArray[Any], value: float) -> int:
    """Twice the number below `value` and the number equal to it, of a lane's window: a sum of whole numbers along
    memory, which the compiler vectorises."""
    total = 0
    for k in range(len(lane)):
        total += (1 if lane[k] < value else 0) + (1 if lane[k] <= value else 0)
    return total


@kernel
def _ranks(x: NDArray[Any], row: int, need: int, memory: NDArray[Any], count: I4, out: F8) -> None:
    window = memory.shape[1]
    for i in range(len(x)):
        at = (row + i) % window
        for j in range(x.shape[1]):
            value, old = x[i, j], memory[j, at]
            count[j] += np.int32(value == value) - np.int32(old == old)
            memory[j, at] = value
            ok = value == value and count[j] >= need
            out[i, j] = _rank(memory[j], value) / (2 * count[j]) if ok else np.nan


@stepper("ranks.percentile_rank")
class Rank(Stepper):
    """memory : the window, a row a lane. count : its values."""

    def __init__(self, x: NDArray[Any], window: int, need: int) -> None:
        self.memory = ring(x.shape[1], window, x.dtype.type)
        self.count = np.zeros(x.shape[1], dtype=np.int32)

    def __call__(self, block: Block, x: NDArray[Any], window: int, need: int) -> F8:
        if len(x) >= MANY:
            return self._many(block, x, window, need)
        out = np.empty(x.shape)
        _ranks(x, block.row, need, self.memory, self.count, out)
        return out

    def _many(self, block: Block, x: NDArray[Any], window: int, need: int) -> F8:
        past = np.roll(self.memory, -(block.row % window), axis=1).T
        whole = np.concatenate([past, x])
        self.memory[:, np.arange(block.stop - window, block.stop) % window] = whole[-window:].T
        self.count[:] = (~np.isnan(self.memory)).sum(axis=1)
        return percentile_rank(whole, window, need)[window:]


@kernel
def _order(
    x: F8, seg_age: I4, row: int, window: int, need: int, places: I8, parts: F8, memory: F8, held: F8, count: I8,
    out: F8, mad: F8,
) -> None:  # fmt: skip
    for i in range(len(x)):
        put(memory, row + i, x, i)
        order_step(memory, row + i, seg_age[i], window, need, places, parts, held, count, out, mad, i)


@stepper("quantiles.order_statistics")
class OrderStatistics(Stepper):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int, percents: I8, spread: bool) -> None:
        lanes = x.shape[1]
        self.memory, self.held = ring(window + 1, lanes), np.full((lanes, window), np.inf)
        self.count = np.zeros(lanes, dtype=np.int64)
        places, self.parts = quantile_places(percents, window)
        self.places = np.ascontiguousarray(places)

    def __call__(
        self, block: Block, x: F8, seg_age: I4, window: int, need: int, percents: I8, spread: bool
    ) -> tuple[F8, F8]:
        out, mad = np.empty((len(percents), *x.shape)), np.empty(x.shape if spread else (0, 0))
        mine = (self.places, self.parts, self.memory, self.held, self.count)
        _order(x, seg_age, block.row, window, need, *mine, out, mad)
        return out, mad


@kernel
def _patterns(y: F8, seg_age: I4, row: int, memory: F8, out: I8) -> None:
    for i in range(len(y)):
        r = row + i
        put(memory, r, y, i)
        if seg_age[i] >= 2:
            for j in range(y.shape[1]):
                out[i, j] = pattern(memory[(r - 2) % 3, j], memory[(r - 1) % 3, j], memory[r % 3, j])


@stepper("patterns.patterns")
class Patterns(Stepper):
    def __init__(self, y: F8, seg_age: I4) -> None:
        self.memory = ring(3, y.shape[1])

    def __call__(self, block: Block, y: F8, seg_age: I4) -> I8:
        out = np.full(y.shape, NONE, dtype=np.int64)
        _patterns(y, seg_age, block.row, self.memory, out)
        return out


@kernel
def _entropy(
    codes: I8, seg_age: I4, row: int, window: int, need: int, flat: NDArray[np.bool_], table: F8, memory: I8,
    counts: I8, out: F8,
) -> None:  # fmt: skip
    for i in range(len(codes)):
        put_row(memory, row + i, codes, i)
        entropy_step(memory, row + i, seg_age[i], window, need, flat, table, counts, out, i)


@stepper("patterns.permutation_entropy")
class PermutationEntropy(Stepper):
    def __init__(self, codes: I8, seg_age: I4, window: int, need: int, flat: NDArray[np.bool_]) -> None:
        self.memory = np.full((window + 1, codes.shape[1]), NONE, dtype=np.int64)
        self.counts = np.zeros((PATTERNS + 1, codes.shape[1]), dtype=np.int64)
        self.table = entropy_table(window)

    def __call__(
        self, block: Block, codes: I8, seg_age: I4, window: int, need: int, flat: NDArray[np.bool_]
    ) -> F8:  # fmt: skip
        out = np.empty(codes.shape)
        _entropy(codes, seg_age, block.row, window, need, flat, self.table, self.memory, self.counts, out)
        return out


@kernel
def _standstill(y: F8, seg_age: I4, row: int, window: int, other: I8, latest: I8, last: F8, out: Any) -> None:
    for i in range(len(y)):
        r = row + i
        if seg_age[i] == 0:
            other[:], latest[:] = r - 1, r - 1
        for j in range(y.shape[1]):
            v = y[i, j]
            if v == v:
                moved = latest[j] >= r - seg_age[i] and abs(v - last[j]) > TIE
                other[j] = latest[j] if moved else other[j]
                latest[j], last[j] = r, v
            out[i, j] = other[j] <= r - window


@stepper("patterns.standstill")
class Standstill(Stepper):
    """other : row of the last value that differs from the present one; latest, last : of the present one."""

    def __init__(self, y: F8, seg_age: I4, window: int) -> None:
        self.other, self.latest = np.zeros(y.shape[1], dtype=np.int64), np.zeros(y.shape[1], dtype=np.int64)
        self.last = np.zeros(y.shape[1])

    def __call__(self, block: Block, y: F8, seg_age: I4, window: int) -> NDArray[np.bool_]:
        out = np.empty(y.shape, dtype=np.bool_)
        _standstill(y, seg_age, block.row, window, self.other, self.latest, self.last, out)
        return out


@kernel
def _signs(
    change: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, lists: tuple[I4, I4, I4], valid: I4,
    balance: I4, out: tuple[F8, F8],
) -> None:  # fmt: skip
    for i in range(len(change)):
        put(memory, row + i, change, i)
        signs_step(memory, row + i, seg_age[i], window, need, lists, valid, balance, out, i)


@stepper("runs.signs")
class Signs(Held):
    def __init__(self, change: F8, seg_age: I4, window: int, need: int) -> None:
        lanes = change.shape[1]
        self.memory, self.lists = ring(window + 1, lanes), run_lists(window, lanes)
        self.valid, self.balance = np.zeros(lanes, np.int32), np.zeros(lanes, np.int32)

    def __call__(self, block: Block, change: F8, seg_age: I4, window: int, need: int) -> tuple[F8, ...]:
        out = empties(change, 2)
        _signs(change, seg_age, block.row, window, need, self.memory, self.lists, self.valid, self.balance, out)
        return out
