"""Steppers of recursions with states of their own: strength, direction, ages, alarms, hysteresis, swings, run lengths.

A trajectory a segment; those of the next segments run alongside over their head starts (see `rings.slots`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.ages import event_step, side_step
from bqx.features.kernels.change_points import QUANTITIES, change_point_row
from bqx.features.kernels.change_points import _usable as usable
from bqx.features.kernels.cusum import CUSUM_ROWS, clear, cusum_row, cusum_step
from bqx.features.kernels.hysteresis import (
    BURN,
    CAP,
    HORIZON,
    STATE_ROWS,
    Levels,
    clear_states,
    hysteresis_row,
    hysteresis_step,
)
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.run_lengths import (
    FINE,
    HEAD_ROWS,
    LEAST,
    SLOT_ROWS,
    SLOTS,
    TAKEN,
    begin,
    constants,
    run_lengths_step,
)
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
        self.count, self.age = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)

    def __call__(self, block: Block, x: F8, seg_age: I4, limit: float, cap: int, burn: int) -> F8:
        out = np.empty(x.shape)
        place = (block.row, block.number, block.opens)
        _event_age(x, *place, limit, cap, burn, self.count, self.age, out)
        return out


@kernel
def _cusum(
    z: F8, row: int, number: int, opens: I8, slack: float, limit: float, cap: int, need: int, burn: int, state: F8,
    out: tuple[F8, F8, F8, F8],
) -> None:  # fmt: skip
    now = 0
    for i in range(len(z)):
        r = row + i
        while opens[now + 1] <= r:
            now += 1
        q = now
        while opens[q] - burn <= r or q == now:
            s = (number + q) % len(state)
            if begins(opens, q, burn, r):
                clear(float(cap), state[s])
            cusum_step(z, i, slack, limit, float(cap), state[s])
            q += 1
        cusum_row(float(need), state[(number + now) % len(state)], out, i)


@stepper("cusum.cusum")
class Cusum(Stepper):
    def __init__(self, z: F8, seg_age: I4, slack: float, limit: float, cap: int, need: int, burn: int) -> None:
        self.state = np.zeros((slots(burn), CUSUM_ROWS, z.shape[1]))

    def __call__(
        self, block: Block, z: F8, seg_age: I4, slack: float, limit: float, cap: int, need: int, burn: int
    ) -> tuple[F8, ...]:
        out = empties(z, 4)
        place = (block.row, block.number, block.opens)
        _cusum(z, *place, slack, limit, cap, need, burn, self.state, out)
        return out


@kernel
def _hysteresis(
    x: F8, row: int, number: int, opens: I8, levels: Levels, middle: float, cap: float, horizon: int, burn: int,
    state: F8, flags: NDArray[np.int8], out: Three,
) -> None:  # fmt: skip
    now = 0
    for i in range(len(x)):
        r = row + i
        while opens[now + 1] <= r:
            now += 1
        q = now
        while opens[q] - burn <= r or q == now:
            s = (number + q) % len(state)
            if begins(opens, q, burn, r):
                clear_states(state[s], flags[s])
            hysteresis_step(x, i, r, levels, cap, state[s], flags[s])
            q += 1
        hysteresis_row(x, i, middle, cap, float(horizon), state[(number + now) % len(state)], out, i)


@stepper("hysteresis.hysteresis")
class Hysteresis(Stepper):
    """state, flags : a trajectory each; flags (0, 1, bytes) are the changes of the last `horizon` minutes."""

    def __init__(
        self, x: F8, seg_age: I4, levels: Levels, middle: float, cap: int = CAP, horizon: int = HORIZON,
        burn: int = BURN,
    ) -> None:  # fmt: skip
        many, lanes = slots(burn), x.shape[1]
        self.state = np.zeros((many, STATE_ROWS, lanes))
        self.flags = np.zeros((many, horizon, lanes), dtype=np.int8)

    def __call__(
        self, block: Block, x: F8, seg_age: I4, levels: Levels, middle: float, cap: int = CAP, horizon: int = HORIZON,
        burn: int = BURN,
    ) -> tuple[F8, ...]:  # fmt: skip
        out = empties(x, 3)
        place = (block.row, block.number, block.opens)
        rule = (*place, levels, float(middle), float(cap), horizon, burn)
        _hysteresis(x, *rule, self.state, self.flags, out)
        return out


@kernel
def _change_points(
    x: F8, variance: F8, row: int, number: int, opens: I8, wanted: NDArray[np.bool_], hazards: tuple[float, float],
    need: int, burn: int, least: float, fine: int, table: F8, runs: F8, heads: F8, now_: F8, out: tuple[F8, ...],
) -> None:  # fmt: skip
    n, p = x.shape
    now = 0
    for i in range(n):
        r = row + i
        while opens[now + 1] <= r:
            now += 1
        q = now
        while opens[q] - burn <= r or q == now:
            s = (number + q) % len(runs)
            if begins(opens, q, burn, r):
                for j in range(p):
                    begin(runs[s, j], heads[s, j])
            for j in range(p):
                if wanted[q, j] and usable(x[i, j], variance[i, j]):
                    run_lengths_step(x[i, j], variance[i, j], hazards, least, fine, table, runs[s, j], heads[s, j])
            q += 1
        s = (number + now) % len(runs)
        for j in range(p):
            known = wanted[now, j] and usable(x[i, j], variance[i, j]) and heads[s, j, TAKEN] >= need
            for which in range(len(hazards)):
                if known:
                    change_point_row(variance[i, j], hazards[which], which, runs[s, j], heads[s, j], now_)
                for k in range(QUANTITIES):
                    out[which * QUANTITIES + k][i, j] = now_[k] if known else np.nan


@stepper("change_points.change_points")
class ChangePoints(Stepper):
    """runs, heads : the slots of a lane's run lengths, and their head, a trajectory each."""

    def __init__(
        self, x: F8, variance: F8, seg_age: I4, wanted: NDArray[np.bool_], hazards: tuple[float, float], need: int,
        burn: int, least: float = LEAST, fine: int = FINE,
    ) -> None:  # fmt: skip
        many, lanes = slots(burn), x.shape[1]
        self.runs, self.heads = np.zeros((many, lanes, SLOT_ROWS, SLOTS)), np.zeros((many, lanes, HEAD_ROWS))

    def __call__(
        self, block: Block, x: F8, variance: F8, seg_age: I4, wanted: NDArray[np.bool_],
        hazards: tuple[float, float], need: int, burn: int, least: float = LEAST, fine: int = FINE,
    ) -> tuple[F8, ...]:  # fmt: skip
        """wanted : of the segments `block.opens`, not of those in the panel."""
        out, now = empties(x, 2 * QUANTITIES), np.empty(QUANTITIES)
        place = (block.row, block.number, block.opens, wanted)
        rule = (*place, hazards, need, burn, least, fine, constants())
        _change_points(x, variance, *rule, self.runs, self.heads, now, out)
        return out
