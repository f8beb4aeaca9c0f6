"""Stepper of indicators of longer bars: all their closes again for each row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.positions import Levels
from bqx.features.kernels.scaled import PATH, Scaled, scaled_row
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import empties
from bqx.features.live.steppers.rings import put
from bqx.features.live.steppers.spliced import Spliced, splice_past
from bqx.features.live.tape import ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


@kernel
def _scaled(
    close: F8, above: F8, below: F8, seg_age: I4, row: int, every: int, back: int, opens: I8, number: int, ends: F8,
    raw: F8, memory: F8, highs: F8, lows: F8, work: F8, out: Scaled,
) -> None:  # fmt: skip
    now = number
    for i in range(len(close)):
        r, age = row + i, seg_age[i]
        while opens[now + 1] <= r:
            now += 1
        if age == 0:
            splice_past(raw, r, back, opens, now, ends, memory)
        put(memory, r, close, i)
        put(raw, r, close, i)
        put(highs, r, above, i)
        put(lows, r, below, i)
        scaled_row(memory, highs, lows, r, every, max(r - age - back, 0), work, out, i)


@stepper("scaled.scaled")
class ScaledBars(Spliced):
    def __init__(self, close: F8, above: F8, below: F8, seg_age: I4, every: int, levels: Levels) -> None:
        lanes, back = close.shape[1], (PATH - 1) * every
        super().__init__(lanes, back, back + 1)
        self.highs, self.lows = ring(back + 1, lanes), ring(back + 1, lanes)

    def __call__(
        self, block: Block, close: F8, above: F8, below: F8, seg_age: I4, every: int, levels: Levels
    ) -> tuple[F8, ...]:
        out = empties(close, 9)
        place = (self.starts(block), block.number, levels[1])
        mine = (self.raw, self.memory, self.highs, self.lows, np.empty((3, PATH)))
        _scaled(close, above, below, seg_age, block.row, every, (PATH - 1) * every, *place, *mine, out)
        return out
