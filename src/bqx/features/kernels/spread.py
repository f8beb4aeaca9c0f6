"""Standard deviation over windows that reach across closures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch
from bqx.features.kernels.sums import COUNT, RESTART, STATE_ROWS, equal_run_step, sample_variance, sums_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@batch
def deviation_across(out: F8, x: F8, seg_age: I4, window: int, need: int) -> None:
    """Sample standard deviation of the last `window` open minutes; NaN below `need` valid values and exactly 0 when
    all of them are equal, which integer runs decide, not a rounded variance. Shape (n, pairs)."""
    n, p = x.shape
    state = np.zeros((STATE_ROWS, p))
    run, last = np.zeros(p), np.full(p, np.nan)
    for r in range(n):
        equal_run_step(x, r, run, last)
        sums_step(x, r, window, 0, seg_age[r] % RESTART == 0, state)
        for j in range(p):
            count = state[COUNT, j]
            deviation = np.sqrt(sample_variance(state, j))
            deviation = 0.0 if run[j] >= count else deviation
            out[r, j] = deviation if count >= need else np.nan
