"""The rows before a segment in its own coordinates: what windows over closures look at.

Raw rows are kept as they came. Where a segment begins, the rows that its windows see are counted from its zero, as
`splice.splice` does for the batch: closure gaps are taken off from the newest segment to the oldest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held
from bqx.features.live.steppers.lags import Opens
from bqx.features.live.tape import ring

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

NO_ENDS = np.empty((0, 0))


@kernel
def splice_past(raw: F8, r: int, back: int, opens: I8, number: int, ends: F8, memory: F8) -> int:
    """Up to `back` rows before row r, the first of segment `number`, from the ring `raw` into the ring `memory`,
    counted from the segment's zero; others are emptied. opens : starts of the segments from 0 on. The first such row.
    """
    p, first = raw.shape[1], max(r - back, 0)
    for k in range(len(memory)):
        for j in range(p):
            memory[k, j] = np.nan
    total = np.zeros(p)
    now = number
    for k in range(r - 1, first - 1, -1):
        while now > 0 and opens[now] > k:
            now -= 1
            if len(ends) > 0:
                for j in range(p):
                    end = ends[now, j]
                    total[j] += end if end == end else 0.0
        for j in range(p):
            memory[k % len(memory), j] = raw[k % len(raw), j] - total[j]
    return first


class Spliced(Held):
    """back : rows before a segment that are seen. raw, memory : rows as they came and in the segment's coordinates."""

    def __init__(self, lanes: int, back: int, rows: int) -> None:
        self.raw, self.memory = ring(max(back, 1), lanes), ring(rows, lanes)
        self.opens = Opens.none()

    def starts(self, block: Block) -> I8:
        """Starts of all segments since live began."""
        return Opens.extend(self.opens, block)
