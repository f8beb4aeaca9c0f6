"""What a model says of some rows, for all its horizons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Arrays (n, horizons), `quantiles` (n, horizons, levels); NaN where a head was not trained.

    f3 : of y3_h_h. f4 : of y4, the return of (t, t + h] / (sigma sqrt h); quantiles and intervals are of y4 too, so a
    value times sigma(t) sqrt(h) is in bps. p_up : probability that y4 > 0. Positive = price rises.
    """

    horizons: tuple[int, ...]
    levels: tuple[float, ...]
    f3: F8
    f4: F8
    p_up: F8
    quantiles: F8
    lo80: F8
    hi80: F8
    lo90: F8
    hi90: F8

    def __len__(self) -> int:
        return len(self.f3)
