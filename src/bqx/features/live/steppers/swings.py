"""Steppers of fibonacci legs: swings, and extremes of windows that reach over closures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.peaks import to_grid
from bqx.features.kernels.smooth import rebase_step
from bqx.features.kernels.swings import swing_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held, empties
from bqx.features.live.steppers.lags import Opens
from bqx.features.live.steppers.rings import put
from bqx.features.live.steppers.spliced import splice_past
from bqx.features.live.steppers.windows import extremes_of, peak_age_of
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
Four = tuple[F8, F8, F8, F8]


@kernel
def _swings(
    x: F8, key: F8, seg_age: I4, segment: I4, ends: F8, row: int, half: int, reach: int, xs: F8, keys: F8, value: F8,
    age: F8, out: tuple[F8, F8],
) -> None:  # fmt: skip
    for i in range(len(x)):
        r = row + i
        if len(ends) > 0 and seg_age[i] == 0 and r > 0:
            rebase_step(ends, segment[i] - 1, value)
        put(xs, r, x, i)
        put(keys, r, key, i)
        swing_step(xs, keys, r, seg_age[i], half, reach, value, age, out, i)


@stepper("swings.last_swing")
class LastSwing(Stepper):
    def __init__(self, x: F8, key: F8, top: F8, seg_age: I4, segment: I4, ends: F8, half: int, reach: int) -> None:
        lanes = x.shape[1]
        self.xs, self.keys = ring(2 * half + 1, lanes), ring(2 * half + 1, lanes)
        self.value, self.age = np.full(lanes, np.nan), np.full(lanes, np.inf)

    def __call__(
        self, block: Block, x: F8, key: F8, top: F8, seg_age: I4, segment: I4, ends: F8, half: int, reach: int
    ) -> tuple[F8, ...]:
        out = empties(x, 2)
        mine = (self.xs, self.keys, self.value, self.age)
        _swings(x, key, seg_age, segment, ends, block.row, half, reach, *mine, out)
        return out


@kernel
def _rolling(
    high: F8, low: F8, seg_age: I4, row: int, window: int, need: int, opens: I8, number: int, ends: F8,
    raws: tuple[F8, F8], rings: tuple[F8, F8], keys: tuple[F8, F8], count: F8, out: Four,
) -> None:  # fmt: skip
    now, p = number, high.shape[1]
    for i in range(len(high)):
        r, age = row + i, seg_age[i]
        while opens[now + 1] <= r:
            now += 1
        if age == 0:
            for side in range(2):
                splice_past(raws[side], r, window - 1, opens, now, ends, rings[side])
                sign = 1.0 if side == 0 else -1.0
                for k in range(window):
                    for j in range(p):
                        keys[side][k, j] = sign * to_grid(rings[side][k, j])
        for side in range(2):
            x = high if side == 0 else low
            sign = 1.0 if side == 0 else -1.0
            put(raws[side], r, x, i)
            put(rings[side], r, x, i)
            for j in range(p):
                keys[side][r % window, j] = sign * to_grid(x[i, j])
            peak_age_of(keys[side], r, window, count, out[2 + side][i])
        first = max(r - age - (window - 1), 0)
        if r - first >= window - 1:
            extremes_of(rings[0], rings[1], r - window + 1, r + 1, float(need), out[0][i], out[1][i], count)
        else:
            for j in range(p):
                out[0][i, j], out[1][i, j] = np.nan, np.nan


class RollingAcross(Held):
    """Highest high, lowest low and the age of each over windows that reach over closures, in the coordinates of the
    present segment: `fibonacci_series.Legs._rolling_across`."""

    def __init__(self, high: F8, low: F8, ends: F8, window: int, need: int) -> None:
        lanes = high.shape[1]
        self.raws = (ring(window - 1, lanes), ring(window - 1, lanes))
        self.rings, self.keys = (ring(window, lanes), ring(window, lanes)), (ring(window, lanes), ring(window, lanes))
        self.opens = Opens.none()

    def __call__(self, block: Block, high: F8, low: F8, ends: F8, window: int, need: int) -> tuple[F8, ...]:
        out = empties(high, 4)
        place = (Opens.extend(self.opens, block), block.number, ends)
        mine = (*place, self.raws, self.rings, self.keys, np.empty(high.shape[1]))
        _rolling(high, low, block.age, block.row, window, need, *mine, out)
        return out
