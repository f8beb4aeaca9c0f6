"""Steppers of recursions with states of their own: strength, direction, ages of events.

A trajectory a segment; those of the next segments run alongside over their head starts (see `rings.slots`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.ages import event_step, side_step
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.wilder import directional_row, directional_step, strength_row, strength_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held, empties
from bqx.features.live.steppers.rings import begins, slots
from bqx.features.live.tape import Stepper, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
Three = tuple[F8, F8, F8]


@kernel
def _strength(
    change: F8, row: int, number: int, opens: I8, period: int, need: int, burn: int, count: F8, up: F8, down: F8,
    out: F8,
) -> None:  # fmt: skip
    now = 0
    for i in range(len(change)):
        r = row + i
        while opens[now + 1] <= r:
            now += 1
        q = now
        while opens[q] - burn <= r or q == now:
            s = (number + q) % len(count)
            if begins(opens, q, burn, r):
                count[s], up[s], down[s] = 0.0, 0.0, 0.0
            strength_step(change, i, period, count[s], up[s], down[s])
            q += 1
        s = (number + now) % len(count)
        strength_row(change, i, need, count[s], up[s], down[s], out, i)


@stepper("wilder.relative_strength")
class RelativeStrength(Stepper):
    def __init__(self, change: F8, seg_age: I4, period: int, need: int, burn: int) -> None:
        shape = (slots(burn), change.shape[1])
        self.count, self.up, self.down = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    def __call__(self, block: Block, change: F8, seg_age: I4, period: int, need: int, burn: int) -> F8:
        out = np.empty(change.shape)
        place = (block.row, block.number, block.opens)
        _strength(change, *place, period, need, burn, self.count, self.up, self.down, out)
        return out


@kernel
def _directional(
    moves: Three, row: int, number: int, opens: I8, period: int, need: int, burn: int, count: F8, means: Three,
    out: Three,
) -> None:  # fmt: skip
    now = 0
    span, plus, minus = moves
    spans, pluses, minuses = means
    for i in range(len(span)):
        r = row + i
        while opens[now + 1] <= r:
            now += 1
        q = now
        while opens[q] - burn <= r or q == now:
            s = (number + q) % len(count)
            if begins(opens, q, burn, r):
                count[s], spans[s], pluses[s], minuses[s] = 0.0, 0.0, 0.0, 0.0
            directional_step(span, plus, minus, i, period, count[s], spans[s], pluses[s], minuses[s])
            q += 1
        s = (number + now) % len(count)
        directional_row(span, i, need, count[s], spans[s], pluses[s], minuses[s], out, i)


@stepper("wilder.directional")
class Directional(Held):
    def __init__(self, span: F8, plus: F8, minus: F8, seg_age: I4, period: int, need: int, burn: int) -> None:
        shape = (slots(burn), span.shape[1])
        self.count, self.means = np.zeros(shape), (np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def __call__(
        self, block: Block, span: F8, plus: F8, minus: F8, seg_age: I4, period: int, need: int, burn: int
    ) -> tuple[F8, ...]:
        out = empties(span, 3)
        place = (block.row, block.number, block.opens)
        _directional((span, plus, minus), *place, period, need, burn, self.count, self.means, out)
        return out


@kernel
def _side_age(
    a: F8, b: F8, row: int, number: int, opens: I8, tie: float, cap: int, burn: int, count: I8, side: I8, age: I8,
    out: F8,
) -> None:  # fmt: skip
    now = 0
    for i in range(len(a)):
        r = row + i
        while opens[now + 1] <= r:
            now += 1
        q = now
        while opens[q] - burn <= r or q == now:
            s = (number + q) % len(count)
            if begins(opens, q, burn, r):
                count[s], side[s], age[s] = 0, 0, 0
            side_step(a, b, i, tie, cap, count[s], side[s], age[s])
            q += 1
        s = (number + now) % len(count)
        for j in range(a.shape[1]):
            gap = a[i, j] - b[i, j]
            out[i, j] = float(age[s, j]) if (gap == gap) & (count[s, j] > cap) else np.nan


@stepper("ages.side_age")
class SideAge(Stepper):
    def __init__(self, a: F8, b: F8, seg_age: I4, tie: float, cap: int, burn: int) -> None:
        shape = (slots(burn), a.shape[1])
        self.count, self.side = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        self.age = np.zeros(shape, dtype=np.int64)

    def __call__(self, block: Block, a: F8, b: F8, seg_age: I4, tie: float, cap: int, burn: int) -> F8:
        out = np.empty(a.shape)
        place = (block.row, block.number, block.opens)
        _side_age(a, b, *place, tie, cap, burn, self.count, self.side, self.age, out)
        return out


@kernel
def _event_age(
    x: F8, row: int, number: int, opens: I8, limit: float, cap: int, burn: int, count: I8, age: I8, out: F8
) -> None:
    now = 0
    for i in range(len(x)):
        r = row + i
        while opens[now + 1] <= r:
            now += 1
        q = now
        while opens[q] - burn <= r or q == now:
            s = (number + q) % len(count)
            if begins(opens, q, burn, r):
                count[s], age[s] = 0, cap
            event_step(x, i, limit, cap, count[s], age[s])
            q += 1
        s = (number + now) % len(count)
        for j in range(x.shape[1]):
            v = x[i, j]
            out[i, j] = float(age[s, j]) if (v == v) & (count[s, j] > cap) else np.nan


@stepper("ages.event_age")
class EventAge(Stepper):
    def __init__(self, x: F8, seg_age: I4, limit: float, cap: int, burn: int) -> None:
        shape = (slots(burn), x.shape[1])
        self.count, self.age = np.zeros(shape, dtype=np.int64), np.full(shape, cap, dtype=np.int64)

    def __call__(self, block: Block, x: F8, seg_age: I4, limit: float, cap: int, burn: int) -> F8:
        out = np.empty(x.shape)
        place = (block.row, block.number, block.opens)
        _event_age(x, *place, limit, cap, burn, self.count, self.age, out)
        return out
