"""Steppers of differences and references within a segment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveStateError
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.levels import change_step, reference_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

SEGMENTS = 1024
"""Segments whose last levels are kept: 17 years of weeks."""


@kernel
def _earlier(memory: F8, x: F8, row: int, lag: int, out: F8) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        for j in range(x.shape[1]):
            out[i, j] = memory[(row + i - lag) % len(memory), j]


class Earlier(Stepper):
    """The value `lag` rows ago, of any segment; NaN before there was one."""

    def __init__(self, x: F8, lag: int) -> None:
        self.memory = ring(lag + 1, x.shape[1])

    def __call__(self, block: Block, x: F8, lag: int) -> F8:
        out = np.empty(x.shape)
        _earlier(self.memory, x, block.row, lag, out)
        return out


@kernel
def _inside(memory: F8, x: F8, seg_age: I4, row: int, lag: int, out: F8) -> None:
    for i in range(len(x)):
        r = row + i
        put(memory, r, x, i)
        inside = seg_age[i] >= lag
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] - memory[(r - lag) % len(memory), j] if inside else np.nan


@stepper("lags.lag_inside")
class LagInside(Stepper):
    def __init__(self, x: F8, seg_age: I4, lag: int) -> None:
        self.memory = ring(lag + 1, x.shape[1])

    def __call__(self, block: Block, x: F8, seg_age: I4, lag: int) -> F8:
        out = np.empty(x.shape)
        _inside(self.memory, x, seg_age, block.row, lag, out)
        return out


@stepper("lags.lag_plain")
class LagPlain(Earlier):
    def __call__(self, block: Block, x: F8, lag: int) -> F8:
        return x - super().__call__(block, x, lag)


@kernel
def _across(memory: F8, y: F8, ends: F8, opens: I8, number: int, row: int, lag: int, out: F8) -> None:
    """opens holds the starts of segments 0, 1, ... here: the older end may lie in any."""
    now = number
    for i in range(len(y)):
        r = row + i
        put(memory, r, y, i)
        while now + 1 < len(opens) and opens[now + 1] <= r:
            now += 1
        old = now
        while old > 0 and opens[old] > r - lag:
            old -= 1
        for j in range(y.shape[1]):
            then = memory[(r - lag) % len(memory), j]
            if r < lag:
                out[i, j] = np.nan
            elif old == now:
                out[i, j] = y[i, j] - then
            else:
                total = ends[old, j] - then
                for s in range(old + 1, now):
                    total += ends[s, j]
                out[i, j] = total + y[i, j]


@stepper("lags.lag_across")
class LagAcross(Stepper):
    def __init__(self, y: F8, seg_row: I4, ends: F8, lag: int) -> None:
        self.memory, self.opens = ring(lag + 1, y.shape[1]), Opens.none()

    def __call__(self, block: Block, y: F8, seg_row: I4, ends: F8, lag: int) -> F8:
        out = np.empty(y.shape)
        opens = Opens.extend(self.opens, block)
        _across(self.memory, y, ends, opens, block.number, block.row, lag, out)
        return out


class Opens:
    """Starts of all segments since live began, in an array of fixed length."""

    @staticmethod
    def none() -> I8:
        return np.full(SEGMENTS, np.iinfo(np.int64).max, dtype=np.int64)

    @staticmethod
    def extend(opens: I8, block: Block) -> I8:
        if block.number + len(block.opens) > SEGMENTS:
            raise LiveStateError(f"live has run for more than {SEGMENTS} segments", fix="rebuild its state")
        opens[block.number : block.number + len(block.opens)] = block.opens
        return opens


@kernel
def _ends(y: F8, seg_row: I4, ends: F8) -> None:
    for i in range(len(y)):
        for j in range(y.shape[1]):
            if y[i, j] == y[i, j]:
                ends[seg_row[i], j] = y[i, j]


@stepper("lags.segment_ends")
class SegmentEnds(Stepper):
    """Rows of the segments so far. The row of the newest changes with every block: no kernel looks at it."""

    def __init__(self, y: F8, seg_row: I4, count: int) -> None:
        self.ends = np.full((SEGMENTS, y.shape[1]), np.nan)

    def __call__(self, block: Block, y: F8, seg_row: I4, count: int) -> F8:
        if count > SEGMENTS:
            raise LiveStateError(f"live has run for more than {SEGMENTS} segments", fix="rebuild its state")
        _ends(y, seg_row, self.ends)
        return self.ends[:count]


@kernel
def _references(open_: F8, seg_age: I4, reference: F8, out: F8) -> None:
    for i in range(len(open_)):
        reference_step(seg_age[i], open_, i, reference)
        for j in range(open_.shape[1]):
            out[i, j] = reference[j]


@stepper("levels.references")
class References(Stepper):
    def __init__(self, open_: F8, seg_age: I4) -> None:
        self.reference = np.full(open_.shape[1], np.nan)

    def __call__(self, block: Block, open_: F8, seg_age: I4) -> F8:
        out = np.empty(open_.shape)
        _references(open_, seg_age, self.reference, out)
        return out


@kernel
def _changes(close: F8, reference: F8, seg_age: I4, last: F8, out: F8) -> None:
    for i in range(len(close)):
        change_step(seg_age[i], close, reference, i, last, out)


@stepper("levels.changes")
class Changes(Stepper):
    def __init__(self, close: F8, reference: F8, seg_age: I4) -> None:
        self.last = np.full(close.shape[1], np.nan)

    def __call__(self, block: Block, close: F8, reference: F8, seg_age: I4) -> F8:
        out = np.empty(close.shape)
        _changes(close, reference, seg_age, self.last, out)
        return out
