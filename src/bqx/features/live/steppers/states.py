"""The stepper of the hidden chain: a segment's trajectory needs the model that is estimated when the segment begins, so
the rows of its head start are kept and gone through then."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.hidden_markov import (
    LANES,
    OUTPUTS,
    STATE_ROWS,
    clear_filter,
    filter_row,
    filter_step,
)
from bqx.features.kernels.hidden_markov import _write as write
from bqx.features.kernels.jit import kernel
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import empties
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
B1 = NDArray[np.bool_]


@kernel
def _filtered(
    x: F8, y: F8, models: F8, which: I4, seg_age: I4, active: B1, row: int, burn: int, need: float, cap: float, xs: F8,
    ys: F8, steps: B1, state: F8, found: F8, out: tuple[F8, ...],
) -> None:  # fmt: skip
    for i in range(len(x)):
        r = row + i
        if seg_age[i] == 0:
            clear_filter(state)
            for k in range(OUTPUTS * LANES):
                found[k] = np.nan
            for k in range(max(0, r - burn), r):
                if steps[k % burn] and which[i] >= 0:
                    filter_step(xs, ys, k % burn, models[which[i]], cap, state)
        if active[i] and which[i] >= 0:
            filter_step(x, y, i, models[which[i]], cap, state)
            filter_row(models[which[i]], need, cap, state, found)
        write(found, out, i)
        put(xs, r, x, i)
        put(ys, r, y, i)
        steps[r % burn] = active[i]


@stepper("hidden_markov.filtered")
class Filtered(Stepper):
    """xs, ys, steps : the last `burn` rows. state, found : the present trajectory and its latest answers."""

    def __init__(
        self, x: F8, y: F8, models: F8, which: I4, seg_age: I4, active: B1, burn: int, need: int, cap: int
    ) -> None:
        self.xs, self.ys = ring(burn, x.shape[1]), ring(burn, x.shape[1])
        self.steps = np.zeros(burn, dtype=np.bool_)
        self.state, self.found = np.zeros(STATE_ROWS * LANES), np.full(OUTPUTS * LANES, np.nan)

    def __call__(
        self, block: Block, x: F8, y: F8, models: F8, which: I4, seg_age: I4, active: B1, burn: int, need: int,
        cap: int,
    ) -> tuple[F8, ...]:  # fmt: skip
        out = empties(x, OUTPUTS)
        mine = (self.xs, self.ys, self.steps, self.state, self.found)
        _filtered(x, y, models, which, seg_age, active, block.row, burn, float(need), float(cap), *mine, out)
        return out
