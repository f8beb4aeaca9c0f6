"""Steppers of ranges and of terms that several bars make: movements, range volatility, jumps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.breakout import breakout_row
from bqx.features.kernels.flow import signed_step
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.jump_volatility import JUMP_MEASURES, JUMP_ROWS, JUMP_TERMS, jump_step, jump_terms_row
from bqx.features.kernels.range_volatility import RANGE_MEASURES, RANGE_TERMS, range_step, range_terms_row
from bqx.features.kernels.ranges import movement_row
from bqx.features.kernels.ticks import tick_step
from bqx.features.kernels.totals import TOTAL_ROWS
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held, empties, put_row, put_rows
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Three = tuple[F8, F8, F8]
Four = tuple[F8, F8, F8, F8]


@kernel
def _movements(high: F8, low: F8, close: F8, seg_age: I4, row: int, rings: Three, out: Three) -> None:
    for i in range(len(high)):
        r = row + i
        put(rings[0], r, high, i)
        put(rings[1], r, low, i)
        put(rings[2], r, close, i)
        movement_row(rings[0], rings[1], rings[2], r, seg_age[i], out, i)


@stepper("ranges.movements")
class Movements(Held):
    def __init__(self, high: F8, low: F8, close: F8, seg_age: I4) -> None:
        lanes = high.shape[1]
        self.rings = (ring(2, lanes), ring(2, lanes), ring(2, lanes))

    def __call__(self, block: Block, high: F8, low: F8, close: F8, seg_age: I4) -> tuple[F8, ...]:
        out = empties(high, 3)
        _movements(high, low, close, seg_age, block.row, self.rings, out)
        return out


@kernel
def _range_terms(bars: Four, fill_run: I4, seg_age: I4, row: int, rings: Four, fills: I4, out: F8) -> None:
    for i in range(len(fill_run)):
        r = row + i
        put(rings[0], r, bars[0], i)
        put(rings[1], r, bars[1], i)
        put(rings[2], r, bars[2], i)
        put(rings[3], r, bars[3], i)
        put_row(fills, r, fill_run, i)
        range_terms_row(rings, fills, r, seg_age[i], out, i)


@stepper("range_volatility.range_terms")
class RangeTerms(Held):
    def __init__(self, bars: Four, fill_run: I4, seg_age: I4) -> None:
        lanes = fill_run.shape[1]
        self.rings = (ring(2, lanes), ring(2, lanes), ring(2, lanes), ring(2, lanes))
        self.fills = np.zeros((2, lanes), dtype=np.int32)

    def __call__(self, block: Block, bars: Four, fill_run: I4, seg_age: I4) -> F8:
        n, p = fill_run.shape
        out = np.empty((n, RANGE_TERMS, p))
        _range_terms(bars, fill_run, seg_age, block.row, self.rings, self.fills, out)
        return out


@kernel
def _range_measures(
    terms: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, out: tuple[F8, ...]
) -> None:
    for i in range(len(terms)):
        put_rows(memory, row + i, terms, i)
        range_step(memory, row + i, seg_age[i], window, need, state, out, i)


@stepper("range_volatility.range_measures")
class RangeMeasures(Stepper):
    def __init__(self, terms: F8, seg_age: I4, window: int, need: int, wanted: frozenset[int]) -> None:
        self.memory = np.full((window + 1, *terms.shape[1:]), np.nan)
        self.state = np.zeros((TOTAL_ROWS, *terms.shape[1:]))

    def __call__(
        self, block: Block, terms: F8, seg_age: I4, window: int, need: int, wanted: frozenset[int]
    ) -> tuple[F8, ...]:
        n, _, p = terms.shape
        out = tuple(np.empty((n if k in wanted else 0, p)) for k in range(RANGE_MEASURES))
        _range_measures(terms, seg_age, block.row, window, need, self.memory, self.state, out)
        return out


@kernel
def _jump_terms(change: F8, close: F8, seg_age: I4, row: int, changes: F8, closes: F8, out: F8) -> None:
    for i in range(len(close)):
        put(changes, row + i, change, i)
        put(closes, row + i, close, i)
        jump_terms_row(changes, closes, row + i, seg_age[i], out, i)


@stepper("jump_volatility.jump_terms")
class JumpTerms(Stepper):
    def __init__(self, change: F8, close: F8, seg_age: I4) -> None:
        self.changes, self.closes = ring(4, close.shape[1]), ring(4, close.shape[1])

    def __call__(self, block: Block, change: F8, close: F8, seg_age: I4) -> F8:
        out = np.empty((len(close), JUMP_TERMS, close.shape[1]))
        _jump_terms(change, close, seg_age, block.row, self.changes, self.closes, out)
        return out


@kernel
def _jump_measures(
    terms: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: F8, out: tuple[F8, ...]
) -> None:
    for i in range(len(terms)):
        put_rows(memory, row + i, terms, i)
        jump_step(memory, row + i, seg_age[i], window, need, state, out, i)


@stepper("jump_volatility.jump_measures")
class JumpMeasures(Stepper):
    def __init__(self, terms: F8, seg_age: I4, window: int, need: int, wanted: frozenset[int]) -> None:
        self.memory = np.full((window + 1, *terms.shape[1:]), np.nan)
        self.state = np.zeros((JUMP_ROWS, *terms.shape[1:]))

    def __call__(
        self, block: Block, terms: F8, seg_age: I4, window: int, need: int, wanted: frozenset[int]
    ) -> tuple[F8, ...]:
        n, _, p = terms.shape
        out = tuple(np.empty((n if k in wanted else 0, p)) for k in range(JUMP_MEASURES))
        _jump_measures(terms, seg_age, block.row, window, need, self.memory, self.state, out)
        return out


@kernel
def _breakout(close: F8, top: F8, bottom: F8, unit: F8, tops: F8, bottoms: F8, out: F8) -> None:
    for i in range(len(close)):
        breakout_row(close, tops, bottoms, unit, i, 0, out, i)
        put(tops, 0, top, i)
        put(bottoms, 0, bottom, i)


@stepper("breakout.breakout")
class Breakout(Stepper):
    """tops, bottoms : the extremes of the row before."""

    def __init__(self, close: F8, top: F8, bottom: F8, unit: F8) -> None:
        self.tops, self.bottoms = ring(1, close.shape[1]), ring(1, close.shape[1])

    def __call__(self, block: Block, close: F8, top: F8, bottom: F8, unit: F8) -> F8:
        out = np.empty(close.shape)
        _breakout(close, top, bottom, unit, self.tops, self.bottoms, out)
        return out


@kernel
def _signed(change: F8, v: F8, seg_age: I4, total: F8, out: F8) -> None:
    for i in range(len(v)):
        signed_step(change, v, i, seg_age[i], total, out, i)


@stepper("flow.signed_volume")
class SignedVolume(Stepper):
    def __init__(self, change: F8, v: F8, seg_age: I4) -> None:
        self.total = np.zeros(v.shape[1])

    def __call__(self, block: Block, change: F8, v: F8, seg_age: I4) -> F8:
        out = np.empty(v.shape)
        _signed(change, v, seg_age, self.total, out)
        return out


@kernel
def _ticks(change: F8, seg_age: I4, sign: F8, out: F8) -> None:
    for i in range(len(change)):
        tick_step(change, i, seg_age[i], sign, out, i)


@stepper("ticks.tick_signs")
class TickSigns(Stepper):
    def __init__(self, change: F8, seg_age: I4) -> None:
        self.sign = np.zeros(change.shape[1])

    def __call__(self, block: Block, change: F8, seg_age: I4) -> F8:
        out = np.empty(change.shape)
        _ticks(change, seg_age, self.sign, out)
        return out
