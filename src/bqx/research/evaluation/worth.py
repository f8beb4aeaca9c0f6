"""How many independent labels overlapping rows are worth, and how far apart in rows labels stop to overlap."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.research.skill import overlap

I8 = NDArray[np.int64]
MEMORY = 4
"""A Bartlett window sees 11/12 of the variance of means of overlapping returns when it is 4 labels long; 2/3 at one."""


def inflation(target: str, horizon: int) -> float:
    """Sum of the autocorrelations of a label sampled every bar under a random walk: h for the return y4,
    3h(h + 1) / (2(2h + 1)) for the innovation y3, a triangular sum of returns.

    >>> inflation("y4", 60), round(inflation("y3", 60), 2)
    (60.0, 45.37)
    """
    return float(horizon) if target == "y4" else overlap(horizon)


def spacing(position: I8) -> int:
    """Usual bars between rows."""
    return max(int(np.median(np.diff(position))), 1) if len(position) > 1 else 1


def effective(rows: float, target: str, horizon: int, every: float) -> float:
    """Independent labels that `rows`, `every` bars apart, are worth; rows further apart than labels count whole."""
    return rows * every / max(inflation(target, horizon), every)


def memory(horizon: int, every: int, rows: int) -> int:
    """Rows of a Bartlett window for means of overlapping labels: 4 horizons, at most a fifth of the rows."""
    return min(math.ceil(MEMORY * horizon / every), max(rows // 5, 1))
