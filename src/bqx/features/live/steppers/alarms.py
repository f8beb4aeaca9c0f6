"""Steppers of alarms and regimes: cumulative sums, hysteresis, run lengths; a trajectory a segment as in `paths`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import empties
from bqx.features.live.steppers.rings import begins, slots
from bqx.features.live.tape import Stepper, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
Three = tuple[F8, F8, F8]


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
        for state in self.state:
            clear(float(cap), state)

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
        for runs, head in zip(self.runs.reshape(-1, SLOT_ROWS, SLOTS), self.heads.reshape(-1, HEAD_ROWS), strict=True):
            begin(runs, head)

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
