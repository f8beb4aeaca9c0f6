"""Steppers of windowed sums of two series: correlations, ratios, weighted means, effective spreads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.autocorr import ratio_step
from bqx.features.kernels.effective_spread import bounce_step, ranges_row
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.memory import correlation_across_step
from bqx.features.kernels.products import PRODUCT_ROWS, correlation_step
from bqx.features.kernels.sums import STATE_ROWS
from bqx.features.kernels.weighted import WEIGHTED_ROWS, weighted_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held, empties, put_row
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Two = tuple[F8, F8]


class Products(Held):
    """a, b : rings of both series. state : sums of their products. runs, lasts : of equal values."""

    def __init__(self, lanes: int, window: int) -> None:
        self.a, self.b = ring(window + 1, lanes), ring(window + 1, lanes)
        self.state = np.zeros((PRODUCT_ROWS, lanes))
        self.runs = (np.zeros(lanes), np.zeros(lanes))
        self.lasts = (np.full(lanes, np.nan), np.full(lanes, np.nan))


@kernel
def _correlations(
    a: F8, b: F8, seg_age: I4, row: int, window: int, need: int, across: bool, rings: Two, state: F8, runs: Two,
    lasts: Two, out: F8,
) -> None:  # fmt: skip
    for i in range(len(a)):
        r = row + i
        put(rings[0], r, a, i)
        put(rings[1], r, b, i)
        if across:
            correlation_across_step(rings[0], rings[1], r, seg_age[i], window, need, state, runs, lasts, out, i)
        else:
            correlation_step(rings[0], rings[1], r, seg_age[i], window, need, state, runs, lasts, out, i)


@stepper("products.correlations")
class Correlations(Products):
    def __init__(self, a: F8, b: F8, seg_age: I4, window: int, need: int, out: F8) -> None:
        super().__init__(a.shape[1], window)

    def __call__(self, block: Block, a: F8, b: F8, seg_age: I4, window: int, need: int, out: F8) -> None:
        mine = ((self.a, self.b), self.state, self.runs, self.lasts)
        _correlations(a, b, seg_age, block.row, window, need, False, *mine, out)


@stepper("memory.correlations_across")
class CorrelationsAcross(Products):
    def __init__(self, a: F8, b: F8, seg_age: I4, window: int, need: int) -> None:
        super().__init__(a.shape[1], window)

    def __call__(self, block: Block, a: F8, b: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(a.shape)
        mine = ((self.a, self.b), self.state, self.runs, self.lasts)
        _correlations(a, b, seg_age, block.row, window, need, True, *mine, out)
        return out


@kernel
def lag_pairs(x: F8, seg_age: I4, row: int, lag: int, memory: F8, now: F8, then: F8) -> None:
    """`autocorr.lagged_pairs` with the earlier values from a ring."""
    for i in range(len(x)):
        r = row + i
        put(memory, r, x, i)
        inside = seg_age[i] >= lag
        for j in range(x.shape[1]):
            a, b = x[i, j], memory[(r - lag) % len(memory), j]
            both = inside and a == a and b == b
            now[i, j] = a if both else np.nan
            then[i, j] = b if both else np.nan


@stepper("autocorr.lagged_pairs")
class LaggedPairs(Stepper):
    def __init__(self, x: F8, seg_age: I4, lag: int, now: F8, then: F8) -> None:
        self.memory = ring(lag + 1, x.shape[1])

    def __call__(self, block: Block, x: F8, seg_age: I4, lag: int, now: F8, then: F8) -> None:
        lag_pairs(x, seg_age, block.row, lag, self.memory, now, then)


@stepper("autocorr.autocorrelation")
class Autocorrelation(Products):
    across = False

    def __init__(self, x: F8, seg_age: I4, lag: int, window: int, need: int) -> None:
        super().__init__(x.shape[1], window)
        self.memory = ring(lag + 1, x.shape[1])

    def __call__(self, block: Block, x: F8, seg_age: I4, lag: int, window: int, need: int) -> F8:
        now, then, out = np.empty(x.shape), np.empty(x.shape), np.empty(x.shape)
        lag_pairs(x, seg_age, block.row, lag, self.memory, now, then)
        mine = ((self.a, self.b), self.state, self.runs, self.lasts)
        _correlations(now, then, seg_age, block.row, window, need, self.across, *mine, out)
        return out


@stepper("memory.autocorrelation_across")
class AutocorrelationAcross(Autocorrelation):
    across = True


@kernel
def _ratio(
    x: F8, seg_age: I4, row: int, window: int, q: int, need: tuple[int, int], xs: F8, many: F8, total: F8, states: F8,
    run: F8, last: F8, out: F8,
) -> None:  # fmt: skip
    p = x.shape[1]
    for i in range(len(x)):
        r = row + i
        put(xs, r, x, i)
        for j in range(p):
            total[0, j] = np.nan
        if seg_age[i] >= q - 1:
            for j in range(p):
                total[0, j] = xs[(r - q + 1) % len(xs), j]
            for k in range(r - q + 2, r + 1):
                for j in range(p):
                    total[0, j] += xs[k % len(xs), j]
        put(many, r, total, 0)
        ratio_step(xs, many, r, seg_age[i], window, q, need, states, run, last, out, i)


@stepper("autocorr.variance_ratio")
class VarianceRatio(Stepper):
    def __init__(self, x: F8, seg_age: I4, window: int, q: int, need: tuple[int, int]) -> None:
        lanes = x.shape[1]
        self.xs, self.many = ring(window + 1, lanes), ring(window + 1, lanes)
        self.states = np.zeros((2, STATE_ROWS, lanes))
        self.run, self.last = np.zeros(lanes), np.full(lanes, np.nan)

    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, q: int, need: tuple[int, int]) -> F8:
        out, total = np.empty(x.shape), np.empty((1, x.shape[1]))
        mine = (self.xs, self.many, total, self.states, self.run, self.last)
        _ratio(x, seg_age, block.row, window, q, need, *mine, out)
        return out


@kernel
def _weighted(
    x: F8, v: F8, seg_age: I4, row: int, window: int, need: int, xs: F8, vs: F8, state: F8, out: F8
) -> None:  # fmt: skip
    for i in range(len(x)):
        put(xs, row + i, x, i)
        put(vs, row + i, v, i)
        weighted_step(xs, vs, row + i, seg_age[i], window, need, state, out, i)


@stepper("weighted.weighted_mean")
class WeightedMean(Stepper):
    def __init__(self, x: F8, v: F8, seg_age: I4, window: int, need: int) -> None:
        lanes = x.shape[1]
        self.xs, self.vs = ring(window + 1, lanes), ring(window + 1, lanes)
        self.state = np.zeros((WEIGHTED_ROWS, lanes))

    def __call__(self, block: Block, x: F8, v: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(x.shape)
        _weighted(x, v, seg_age, block.row, window, need, self.xs, self.vs, self.state, out)
        return out


@kernel
def _bounce(now: F8, then: F8, seg_age: I4, row: int, window: int, need: int, a: F8, b: F8, state: F8, out: F8) -> None:
    for i in range(len(now)):
        put(a, row + i, now, i)
        put(b, row + i, then, i)
        bounce_step(a, b, row + i, seg_age[i], window, need, state, out, i)


@stepper("effective_spread.bounce")
class Bounce(Products):
    def __init__(self, now: F8, then: F8, seg_age: I4, window: int, need: int) -> None:
        super().__init__(now.shape[1], window)

    def __call__(self, block: Block, now: F8, then: F8, seg_age: I4, window: int, need: int) -> F8:
        out = np.empty(now.shape)
        _bounce(now, then, seg_age, block.row, window, need, self.a, self.b, self.state, out)
        return out


@kernel
def _neighbours(
    high: F8, low: F8, close: F8, fill_run: I4, seg_age: I4, row: int, rings: tuple[F8, F8, F8], fills: I4, out: Two
) -> None:
    for i in range(len(high)):
        r = row + i
        put(rings[0], r, high, i)
        put(rings[1], r, low, i)
        put(rings[2], r, close, i)
        put_row(fills, r, fill_run, i)
        ranges_row(rings[0], rings[1], rings[2], fills, r, seg_age[i], out, i)


@stepper("effective_spread.neighbours")
class Neighbours(Held):
    def __init__(self, high: F8, low: F8, close: F8, fill_run: I4, seg_age: I4) -> None:
        lanes = high.shape[1]
        self.rings = (ring(2, lanes), ring(2, lanes), ring(2, lanes))
        self.fills = np.zeros((2, lanes), dtype=np.int32)

    def __call__(self, block: Block, high: F8, low: F8, close: F8, fill_run: I4, seg_age: I4) -> tuple[F8, ...]:
        out = empties(high, 2)
        _neighbours(high, low, close, fill_run, seg_age, block.row, self.rings, self.fills, out)
        return out
