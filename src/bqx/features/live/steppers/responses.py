"""Steppers of how one series answers another: slopes, half-lives, adjustment to an error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.adjustment import STATE_ROWS as ADJUSTMENT_ROWS
from bqx.features.kernels.adjustment import adjustment_step
from bqx.features.kernels.autoregression import half_life_across_step
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.market_model import slope_row
from bqx.features.kernels.products import PRODUCT_ROWS
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held
from bqx.features.live.steppers.pairs import Products, lag_pairs
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Two = tuple[F8, F8]


@kernel
def _slopes(
    y: F8, x: F8, seg_age: I4, row: int, window: int, need: int, ys: F8, xs: F8, state: F8, runs: Two, out: F8
) -> None:
    for i in range(len(x)):
        put(ys, row + i, y, i)
        put(xs, row + i, x, i)
        slope_row(ys, xs, row + i, seg_age[i], window, need, state, runs, out, i)


@stepper("market_model.slopes_across")
class SlopesAcross(Held):
    def __init__(self, y: F8, x: F8, seg_age: I4, window: int, need: int) -> None:
        lanes = x.shape[1]
        self.ys, self.xs = ring(window + 1, lanes), ring(window + 1, lanes)
        self.state = np.zeros((PRODUCT_ROWS, lanes))
        self.runs = (np.zeros(lanes), np.full(lanes, np.nan))

    def __call__(self, block: Block, y: F8, x: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(x.shape)
        _slopes(y, x, seg_age, block.row, window, need, self.ys, self.xs, self.state, self.runs, out)
        return out


@kernel
def _half_lives(
    now: F8, then: F8, seg_age: I4, row: int, window: int, need: int, a: F8, b: F8, state: F8, run: F8, last: F8,
    out: F8,
) -> None:  # fmt: skip
    for i in range(len(now)):
        put(a, row + i, now, i)
        put(b, row + i, then, i)
        half_life_across_step(a, b, row + i, seg_age[i], window, need, state, run, last, out, i)


@stepper("autoregression.half_life_across")
class HalfLifeAcross(Products):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int) -> None:
        super().__init__(x.shape[1], window)
        self.memory = ring(2, x.shape[1])

    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> F8:
        now, then, out = np.empty(x.shape), np.empty(x.shape), np.empty(x.shape)
        lag_pairs(x, seg_age, block.row, 1, self.memory, now, then)
        mine = (self.a, self.b, self.state, self.runs[0], self.lasts[0])
        _half_lives(now, then, seg_age, block.row, window, need, *mine, out)
        return out


@kernel
def _adjustment(
    y: F8, error: F8, seg_age: I4, row: int, window: int, need: int, ys: F8, errors: F8, terms: tuple[F8, F8, F8],
    now: F8, state: F8, out: F8,
) -> None:  # fmt: skip
    for i in range(len(y)):
        r = row + i
        put(ys, r, y, i)
        put(errors, r, error, i)
        inside = seg_age[i] >= 2
        one, two = (r - 1) % 3, (r - 2) % 3
        for j in range(y.shape[1]):
            e, d, c = errors[one, j], y[i, j] - ys[one, j], ys[one, j] - ys[two, j]
            whole = (d == d) & (c == c) & (e == e) & (error[i, j] == error[i, j]) & inside
            now[0, j] = d if whole else np.nan
            now[1, j] = e if whole else np.nan
            now[2, j] = c if whole else np.nan
        for k in range(3):
            put(terms[k], r, now, k)
        adjustment_step(terms[0], terms[1], terms[2], r, seg_age[i], window, need, state, out, i)


@stepper("adjustment.adjustment")
class Adjustment(Held):
    def __init__(self, y: F8, error: F8, seg_age: I4, window: int, need: int) -> None:
        lanes = y.shape[1]
        self.ys, self.errors = ring(3, lanes), ring(3, lanes)
        self.terms = (ring(window + 1, lanes), ring(window + 1, lanes), ring(window + 1, lanes))
        self.state = np.zeros((ADJUSTMENT_ROWS, lanes))

    def __call__(self, block: Block, y: F8, error: F8, seg_age: I4, window: int, need: int) -> F8:
        out, now = np.empty(y.shape), np.empty((3, y.shape[1]))
        mine = (self.ys, self.errors, self.terms, now, self.state)
        _adjustment(y, error, seg_age, block.row, window, need, *mine, out)
        return out


@kernel
def _nearer(error: F8, seg_age: I4, row: int, step: int, memory: F8, out: F8) -> None:
    for i in range(len(error)):
        r = row + i
        put(memory, r, error, i)
        inside = seg_age[i] >= step
        for j in range(error.shape[1]):
            a, b = abs(error[i, j]), abs(memory[(r - step) % len(memory), j])
            flag = 1.0 if a < b else 0.0
            out[i, j] = flag if (a == a) & (b == b) & inside else np.nan


@stepper("adjustment.nearer")
class Nearer(Stepper):
    def __init__(self, error: F8, seg_age: I4, step: int) -> None:
        self.memory = ring(step + 1, error.shape[1])

    def __call__(self, block: Block, error: F8, seg_age: I4, step: int) -> F8:
        out = np.empty(error.shape)
        _nearer(error, seg_age, block.row, step, self.memory, out)
        return out
