"""Steppers that look at a few rows, or at all of a short window for each row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.channel import channel_row
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.spaced import bend_row, spaced_deviation_row
from bqx.features.live.block import Block
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def _mean_change(shift: F8, excess: F8, row: int, lag: int, shifts: F8, excesses: F8, out: F8) -> None:
    for i in range(len(shift)):
        r = row + i
        put(shifts, r, shift, i)
        put(excesses, r, excess, i)
        then = (r - lag) % len(shifts)
        for j in range(shift.shape[1]):
            moved = (shift[i, j] - shifts[then, j]) + (excess[i, j] - excesses[then, j])
            out[i, j] = moved / lag


@stepper("bands.mean_change")
class MeanChange(Stepper):
    def __init__(self, shift: F8, excess: F8, lag: int) -> None:
        self.shifts, self.excesses = ring(lag + 1, shift.shape[1]), ring(lag + 1, shift.shape[1])

    def __call__(self, block: Block, shift: F8, excess: F8, lag: int) -> F8:
        out = np.empty(shift.shape)
        _mean_change(shift, excess, block.row, lag, self.shifts, self.excesses, out)
        return out


@kernel
def _of_three(x: F8, row: int, memory: F8, out: F8) -> None:
    for i in range(len(x)):
        r = row + i
        put(memory, r, x, i)
        for j in range(x.shape[1]):
            out[i, j] = (memory[(r - 2) % 3, j] + memory[(r - 1) % 3, j] + x[i, j]) / 3.0


@stepper("oscillators.mean_of_three")
class MeanOfThree(Stepper):
    def __init__(self, x: F8) -> None:
        self.memory = ring(3, x.shape[1])

    def __call__(self, block: Block, x: F8) -> F8:
        out = np.empty(x.shape)
        _of_three(x, block.row, self.memory, out)
        return out


@kernel
def _channel(x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, scratch: F8, out: F8) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        channel_row(memory, row + i, seg_age[i], window, need, scratch, out, i)


@stepper("channel.channel_index")
class Channel(Stepper):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int) -> None:
        self.memory = ring(window, x.shape[1])

    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(x.shape)
        _channel(x, seg_age, block.row, window, need, self.memory, np.empty((2, x.shape[1])), out)
        return out


@kernel
def _spaced(x: F8, seg_age: I4, row: int, spacing: int, count: int, factor: float, memory: F8, out: F8) -> None:
    scratch = np.empty((2, x.shape[1]))
    for i in range(len(x)):
        put(memory, row + i, x, i)
        spaced_deviation_row(memory, row + i, seg_age[i], spacing, count, factor, scratch, out, i)


@stepper("spaced.spaced_deviation")
class SpacedDeviation(Stepper):
    def __init__(self, x: F8, seg_age: I4, spacing: int, count: int, factor: float) -> None:
        self.memory = ring(spacing * (count - 1) + 1, x.shape[1])

    def __call__(self, block: Block, x: F8, seg_age: I4, spacing: int, count: int, factor: float) -> F8:
        out = np.empty(x.shape)
        _spaced(x, seg_age, block.row, spacing, count, factor, self.memory, out)
        return out


@kernel
def _bend(x: F8, seg_age: I4, row: int, lag: int, memory: F8, out: F8) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        bend_row(memory, row + i, seg_age[i], lag, out, i)


@stepper("spaced.bend")
class Bend(Stepper):
    def __init__(self, x: F8, seg_age: I4, lag: int) -> None:
        self.memory = ring(2 * lag + 1, x.shape[1])

    def __call__(self, block: Block, x: F8, seg_age: I4, lag: int) -> F8:
        out = np.empty(x.shape)
        _bend(x, seg_age, block.row, lag, self.memory, out)
        return out
