"""Steppers of windowed sums of one series: spreads, scores, squares and balances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.autoregression import standard_across_step
from bqx.features.kernels.bands import balance_step
from bqx.features.kernels.before import before_row, before_step
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.robust_ratio import STATE_ROWS as RATIO_ROWS
from bqx.features.kernels.robust_ratio import restarts, robust_ratio_step
from bqx.features.kernels.scores import score_across_row
from bqx.features.kernels.squares import SQUARE_ROWS, squares_row, squares_step
from bqx.features.kernels.sums import COUNT, RESTART, equal_run_step, sample_variance, sums_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.moments import Sums
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def _deviation_across(
    x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, run: F8, last: F8, out: F8
) -> None:
    for i in range(len(x)):
        r = row + i
        put(memory, r, x, i)
        equal_run_step(x, i, run, last)
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


@kernel
def _scores_across(
    x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, run: F8, last: F8, out: F8
) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        score_across_row(memory, row + i, seg_age[i], window, need, state, run, last, out, i)


@stepper("scores.scores_across")
class ScoresAcross(Sums):
    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(x.shape)
        _scores_across(x, seg_age, block.row, window, need, self.memory, self.state, self.run, self.last, out)
        return out


@kernel
def _standardised_across(
    x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, run: F8, last: F8, out: F8
) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        standard_across_step(memory, row + i, seg_age[i], window, need, state, run, last, out, i)


@stepper("autoregression.standardised_across")
class StandardisedAcross(Sums):
    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(x.shape)
        _standardised_across(x, seg_age, block.row, window, need, self.memory, self.state, self.run, self.last, out)
        return out


@kernel
def _before(
    x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, run: F8, last: F8, out: tuple[F8, F8]
) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        before_step(memory, row + i, seg_age[i], window, state, run, last)
        before_row(memory, row + i, float(need), state, run, out[0], out[1], i)


@stepper("before.score_before")
class ScoreBefore(Sums):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int) -> None:
        super().__init__(x, seg_age, window + 1)

    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> tuple[F8, F8]:
        out = (np.empty(x.shape), np.empty(x.shape))
        _before(x, seg_age, block.row, window, need, self.memory, self.state, self.run, self.last, out)
        return out


@kernel
def _squares(
    x: F8, seg_age: I4, row: int, window: int, need: int, across: bool, memory: F8, state: F8, out: F8
) -> None:
    for i in range(len(x)):
        r, age = row + i, seg_age[i]
        put(memory, r, x, i)
        squares_step(memory, r, window, 0 if across else r - age, age % RESTART == 0, state)
        squares_row(window, float(need) if across or age >= window - 1 else np.inf, state, out, i)


@stepper("squares.root_sum_of_squares")
class RootOfSquares(Stepper):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int, across: bool) -> None:
        self.memory, self.state = ring(window + 1, x.shape[1]), np.zeros((SQUARE_ROWS, x.shape[1]))

    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int, across: bool) -> F8:
        out = np.empty(x.shape)
        _squares(x, seg_age, block.row, window, need, across, self.memory, self.state, out)
        return out


@kernel
def _balance(flag: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, out: F8) -> None:
    for i in range(len(flag)):
        put(memory, row + i, flag, i)
        balance_step(memory, row + i, seg_age[i], window, need, state, out, i)


@stepper("bands.balance")
class Balance(Stepper):
    def __init__(self, flag: F8, seg_age: I4, window: int, need: int) -> None:
        self.memory, self.state = ring(window + 1, flag.shape[1]), np.zeros((2, flag.shape[1]))

    def __call__(self, block: Block, flag: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(flag.shape)
        _balance(flag, seg_age, block.row, window, need, self.memory, self.state, out)
        return out


@kernel
def _robust(
    x: F8, seg_age: I4, row: int, window: int, q: int, need: float, inside: bool, memory: F8, state: F8, run: F8,
    last: F8, out: F8,
) -> None:  # fmt: skip
    for i in range(len(x)):
        r, age = row + i, seg_age[i]
        put(memory, r, x, i)
        if inside and age == 0:
            run[:], last[:] = 0.0, np.nan
        enough = need if not inside or age >= window - 1 else np.inf
        floor = r - age if inside else 0
        robust_ratio_step(
            memory, r, floor, restarts(age, window), window, q, enough, state, run, last, out, i
        )  # fmt: skip


@stepper("robust_ratio.robust_ratio")
class RobustRatio(Sums):
    rows = RATIO_ROWS

    def __call__(
        self, block: Block, x: F8, seg_age: I4, window: int, q: int, need: float, inside: bool
    ) -> F8:  # fmt: skip
        out = np.empty(x.shape)
        mine = (self.memory, self.state, self.run, self.last)
        _robust(x, seg_age, block.row, window, q, need, inside, *mine, out)
        return out
