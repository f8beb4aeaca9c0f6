"""Steppers of windowed sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.deviation import mean_row, standard_row
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import SHAPE_ROWS, centre_step, shape_step
from bqx.features.kernels.momentum import momentum_step
from bqx.features.kernels.sums import COUNT, RESTART, STATE_ROWS, equal_run_step, sample_variance, sums_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


class Sums(Stepper):
    """memory : the window and the row that has left it. state : its sums. run, last : of equal values at its end."""

    rows = STATE_ROWS

    def __init__(self, x: F8, seg_age: I4, window: int, *_: object) -> None:
        lanes = x.shape[1]
        self.memory, self.state = ring(window + 1, lanes), np.zeros((self.rows, lanes))
        self.run, self.last = np.zeros(lanes), np.full(lanes, np.nan)


@kernel
def _centre(
    x: F8, seg_age: I4, row: int, window: int, need: int, ddof: int, memory: F8, state: F8, run: F8, last: F8,
    out: tuple[F8, F8, F8],
) -> None:  # fmt: skip
    for i in range(len(x)):
        put(memory, row + i, x, i)
        centre_step(memory, row + i, seg_age[i], window, need, ddof, state, run, last, out, i)


@stepper("moments.centre")
class Centre(Sums):
    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int, ddof: int) -> tuple[F8, F8, F8]:
        out = (np.empty(x.shape), np.empty(x.shape), np.empty(x.shape))
        _centre(x, seg_age, block.row, window, need, ddof, self.memory, self.state, self.run, self.last, out)
        return out


@kernel
def _shape(
    x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, run: F8, last: F8,
    out: tuple[F8, F8, F8, F8, F8],
) -> None:  # fmt: skip
    for i in range(len(x)):
        put(memory, row + i, x, i)
        shape_step(memory, row + i, seg_age[i], window, need, state, run, last, out, i)


@stepper("moments.shape")
class Shape(Sums):
    rows = SHAPE_ROWS

    def __call__(
        self, block: Block, x: F8, seg_age: I4, window: int, need: int, higher: bool, test: bool
    ) -> tuple[F8, F8, F8, F8, F8]:
        third, fifth = x.shape if higher else (0, 0), x.shape if test else (0, 0)
        out = (np.empty(x.shape), np.empty(x.shape), np.empty(third), np.empty(third), np.empty(fifth))
        _shape(x, seg_age, block.row, window, need, self.memory, self.state, self.run, self.last, out)
        return out


@kernel
def _closes(
    x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, run: F8, last: F8,
    out: tuple[F8, F8, F8],
) -> None:  # fmt: skip
    for i in range(len(x)):
        put(memory, row + i, x, i)
        momentum_step(memory, row + i, seg_age[i], window, need, state, run, last, out, i)


@stepper("momentum.previous_closes")
class PreviousCloses(Sums):
    def __call__(self, block: Block, close: F8, seg_age: I4, window: int, need: int) -> tuple[F8, F8, F8]:
        out = (np.empty(close.shape), np.empty(close.shape), np.empty(close.shape))
        _closes(close, seg_age, block.row, window, need, self.memory, self.state, self.run, self.last, out)
        return out


@kernel
def _standardised(
    x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, run: F8, last: F8, out: F8
) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        standard_row(memory, row + i, seg_age[i], window, need, state, run, last, out, i)


@stepper("deviation.standardised")
class Standardised(Sums):
    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(x.shape)
        _standardised(x, seg_age, block.row, window, need, self.memory, self.state, self.run, self.last, out)
        return out


@kernel
def _window_mean(x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, out: F8) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        mean_row(memory, row + i, seg_age[i], window, need, state, out, i)


@stepper("deviation.window_mean")
class WindowMean(Sums):
    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(x.shape)
        _window_mean(x, seg_age, block.row, window, need, self.memory, self.state, out)
        return out


@kernel
def _deviation_across(
    x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, run: F8, last: F8, out: F8
) -> None:
    for i in range(len(x)):
        r = row + i
        put(memory, r, x, i)
        equal_run_step(memory, r % len(memory), run, last)
        sums_step(memory, r, window, 0, seg_age[i] % RESTART == 0, state)
        for j in range(x.shape[1]):
            count = state[COUNT, j]
            deviation = np.sqrt(sample_variance(state, j))
            deviation = 0.0 if run[j] >= count else deviation
            out[i, j] = deviation if count >= need else np.nan


@stepper("spread.deviation_across")
class DeviationAcross(Sums):
    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(x.shape)
        _deviation_across(x, seg_age, block.row, window, need, self.memory, self.state, self.run, self.last, out)
        return out
