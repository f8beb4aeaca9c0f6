"""What all steppers use: rows put into rings, and the trajectories that are under way at a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.market.calendar import DAY

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@kernel
def put(ring: F8, r: int, x: F8, i: int) -> None:
    """Row i of x as row r of the ring."""
    row = r % len(ring)
    for j in range(x.shape[1]):
        ring[row, j] = x[i, j]


def slots(burn: int) -> int:
    """Trajectories that can be under way at once: this segment's, and those of segments that begin within `burn` open
    minutes, none of them shorter than a trade day. Trajectory k lies in slot k % slots."""
    return burn // DAY + 3


@kernel
def begins(opens: I8, q: int, burn: int, r: int) -> bool:
    """Whether the trajectory of the segment that starts at row opens[q] starts at row r."""
    started: bool = r == max(opens[q] - burn, 0)
    return started
