"""Steppers of lines, parabolas and autoregressions, whose windows may reach over closures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.hac import Blocks, block_state, slope_t_step
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.lines import line_step
from bqx.features.kernels.parabola_terms import WORK as TERM_ROWS
from bqx.features.kernels.parabola_terms import Terms, terms_row
from bqx.features.kernels.positions import Levels, State, position_state
from bqx.features.kernels.quadratic import WORK, parabola_step
from bqx.features.kernels.reversion import STATE_ROWS, half_life_step
from bqx.features.kernels.robust_ratio import restarts
from bqx.features.kernels.sums import equal_run_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held, empties
from bqx.features.live.steppers.rings import put
from bqx.features.live.steppers.spliced import NO_ENDS, Spliced, splice_past
from bqx.features.live.tape import ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


@kernel
def enter(raw: F8, r: int, back: int, opens: I8, number: int, ends: F8, memory: F8, run: F8, last: F8) -> None:
    """A segment begins at row r: the rows before it in its coordinates, and the run of equal values they end with."""
    first = splice_past(raw, r, back, opens, number, ends, memory)
    run[:], last[:] = 0.0, np.nan
    for k in range(first, r):
        equal_run_step(memory, k % len(memory), run, last)


@kernel
def _line(
    x: F8, seg_age: I4, row: int, window: int, need: int, back: int, opens: I8, number: int, ends: F8, raw: F8,
    memory: F8, state: State, run: F8, last: F8, out: tuple[F8, F8],
) -> None:  # fmt: skip
    now = number
    for i in range(len(x)):
        r, age = row + i, seg_age[i]
        while opens[now + 1] <= r:
            now += 1
        if age == 0:
            enter(raw, r, back, opens, now, ends, memory, run, last)
        put(memory, r, x, i)
        put(raw, r, x, i)
        floor, youngest = max(r - age - back, 0), 0 if back > 0 else window - 1
        line_step(memory, r, age, window, need, youngest, floor, state, run, last, out, i)


class Line(Spliced):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int, across: bool, levels: Levels | None = None) -> None:
        lanes = x.shape[1]
        super().__init__(lanes, window - 1 if across else 0, window + 1)
        self.state = position_state(window, lanes)
        self.run, self.last = np.zeros(lanes), np.full(lanes, np.nan)

    def __call__(
        self, block: Block, x: F8, seg_age: I4, window: int, need: int, across: bool, levels: Levels | None = None
    ) -> tuple[F8, ...]:
        out = empties(x, 2)
        ends = levels[1] if across and levels is not None else NO_ENDS
        mine = (self.starts(block), block.number, ends, self.raw, self.memory, self.state, self.run, self.last)
        _line(x, seg_age, block.row, window, need, window - 1 if across else 0, *mine, out)
        return out


stepper("lines.line")(Line)


@stepper("lines.slope")
class Slope(Line):
    def __call__(  # type: ignore[override]
        self, block: Block, x: F8, seg_age: I4, window: int, need: int, across: bool, levels: Levels | None = None
    ) -> F8:
        return super().__call__(block, x, seg_age, window, need, across, levels)[0]


@kernel
def _slope_t(
    x: F8, seg_age: I4, row: int, window: int, need: int, lag: int, back: int, opens: I8, number: int, ends: F8,
    raw: F8, memory: F8, state: State, blocks: Blocks, run: F8, last: F8, out: F8,
) -> None:  # fmt: skip
    now = number
    for i in range(len(x)):
        r, age = row + i, seg_age[i]
        while opens[now + 1] <= r:
            now += 1
        if age == 0:
            enter(raw, r, back, opens, now, ends, memory, run, last)
        put(memory, r, x, i)
        put(raw, r, x, i)
        floor, youngest = max(r - age - back, 0), 0 if back > 0 else window - 1
        slope_t_step(memory, r, age, window, need, youngest, lag, floor, state, blocks, run, last, out, i)


@stepper("hac.slope_t")
class SlopeT(Spliced):
    def __init__(
        self, x: F8, seg_age: I4, window: int, need: int, lag: int, across: bool, levels: Levels | None = None
    ) -> None:
        lanes = x.shape[1]
        super().__init__(lanes, window - 1 if across else 0, window + 1)
        self.state, self.blocks = position_state(window, lanes), block_state(window, lag, lanes)
        self.run, self.last = np.zeros(lanes), np.full(lanes, np.nan)

    def __call__(
        self, block: Block, x: F8, seg_age: I4, window: int, need: int, lag: int, across: bool,
        levels: Levels | None = None,
    ) -> F8:  # fmt: skip
        out = np.empty(x.shape)
        ends = levels[1] if across and levels is not None else NO_ENDS
        place = (self.starts(block), block.number, ends, self.raw, self.memory)
        back = window - 1 if across else 0
        mine = (*place, self.state, self.blocks, self.run, self.last)
        _slope_t(x, seg_age, block.row, window, need, lag, back, *mine, out)
        return out


@kernel
def _parabola(
    x: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, state: State, work: F8, run: F8, last: F8,
    out: tuple[F8, F8, F8, F8],
) -> None:  # fmt: skip
    for i in range(len(x)):
        if seg_age[i] == 0:
            run[:], last[:] = 0.0, np.nan
        put(memory, row + i, x, i)
        parabola_step(memory, row + i, seg_age[i], window, need, state, work, run, last, out, i)


@stepper("quadratic.parabola")
class Parabola(Held):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int) -> None:
        lanes = x.shape[1]
        self.memory, self.state = ring(window + 1, lanes), position_state(window, lanes)
        self.work = np.zeros((WORK, lanes))
        self.run, self.last = np.zeros(lanes), np.full(lanes, np.nan)

    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int) -> tuple[F8, ...]:
        out = empties(x, 4)
        mine = (self.memory, self.state, self.work, self.run, self.last)
        _parabola(x, seg_age, block.row, window, need, *mine, out)
        return out


@kernel
def _half_life(
    y: F8, seg_age: I4, row: int, window: int, need: tuple[float, float], back: int, opens: I8, number: int, ends: F8,
    raw: F8, memory: F8, state: F8, run: F8, last: F8, out: F8,
) -> None:  # fmt: skip
    now = number
    never = (np.inf, np.inf)
    for i in range(len(y)):
        r, age = row + i, seg_age[i]
        while opens[now + 1] <= r:
            now += 1
        if age == 0:
            enter(raw, r, back, opens, now, ends, memory, run, last)
        put(memory, r, y, i)
        put(raw, r, y, i)
        whole = back > 0 or age >= window
        floor = max(r - age - back, 0)
        half_life_step(
            memory, r, floor, restarts(age, window), window, need if whole else never, state, run, last, out, i
        )


@stepper("reversion.half_life")
class HalfLife(Spliced):
    def __init__(
        self, y: F8, seg_age: I4, segment: I4, ends: F8, window: int, need: tuple[float, float], inside: bool
    ) -> None:
        lanes = y.shape[1]
        super().__init__(lanes, 0 if inside else window, window + 2)
        self.state = np.zeros((STATE_ROWS, lanes))
        self.run, self.last = np.zeros(lanes), np.full(lanes, np.nan)

    def __call__(
        self, block: Block, y: F8, seg_age: I4, segment: I4, ends: F8, window: int, need: tuple[float, float],
        inside: bool,
    ) -> F8:  # fmt: skip
        out = np.empty(y.shape)
        place = (0 if inside else window, self.starts(block), block.number, ends)
        mine = (self.raw, self.memory, self.state, self.run, self.last)
        _half_life(y, seg_age, block.row, window, need, *place, *mine, out)
        return out


@kernel
def _terms(
    x: F8, seg_age: I4, row: int, window: int, need: int, lag: int, back: int, opens: I8, number: int, ends: F8,
    raw: F8, memory: F8, near: F8, work: F8, out: Terms,
) -> None:  # fmt: skip
    now = number
    for i in range(len(x)):
        r, age = row + i, seg_age[i]
        while opens[now + 1] <= r:
            now += 1
        if age == 0:
            splice_past(raw, r, back, opens, now, ends, memory)
        put(memory, r, x, i)
        put(raw, r, x, i)
        enough = float(need) if back > 0 or age >= window - 1 else np.inf
        terms_row(memory, r, window, lag, max(r - age - back, 0), enough, near, work, out, i)


@stepper("parabola_terms.parabola_terms")
class ParabolaTerms(Spliced):
    def __init__(
        self, x: F8, seg_age: I4, window: int, need: int, lag: int, across: bool, levels: Levels | None = None
    ) -> None:
        lanes = x.shape[1]
        super().__init__(lanes, window - 1 if across else 0, window)
        self.near, self.work = np.zeros((lag + 1, lanes)), np.zeros((TERM_ROWS, lanes))

    def __call__(
        self, block: Block, x: F8, seg_age: I4, window: int, need: int, lag: int, across: bool,
        levels: Levels | None = None,
    ) -> tuple[F8, ...]:  # fmt: skip
        out = empties(x, 8)
        ends = levels[1] if across and levels is not None else NO_ENDS
        place = (self.starts(block), block.number, ends, self.raw, self.memory, self.near, self.work)
        _terms(x, seg_age, block.row, window, need, lag, window - 1 if across else 0, *place, out)
        return out
