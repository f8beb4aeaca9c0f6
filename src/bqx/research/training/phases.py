"""Which minutes a model of horizon h learns from: h / 3 bars apart, at other minutes of the hour from day to day."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bqx.research.splits import DAY

I8 = NDArray[np.int64]
DENSITY, ENOUGH = 3, 600
"""Training rows a label's length unless told: three hold nearly all that every minute would teach (decision 074). Rows
below which there are more of them: a quarter must do for calibrating intervals."""


def stride(spacing: int) -> int:
    """Bars by which the phase moves from day to day: near 0.382 of the spacing and coprime with it, so that `spacing`
    days see every phase once.

    >>> [stride(h) for h in (1, 15, 30, 60, 75)]
    [0, 7, 11, 23, 29]
    """
    if spacing == 1:
        return 0
    near = sorted(range(1, spacing), key=lambda k: (abs(k - 0.382 * spacing), k))
    return next(k for k in near if math.gcd(k, spacing) == 1)


def rotated(position: I8, spacing: int) -> NDArray[np.bool_]:
    """True at rows `spacing` bars apart, shifted by :func:`stride` from trading day to trading day. Shape (n,).

    Depends on the position alone, not on where the rows begin. Two rows are never nearer than `spacing`. A fixed phase
    would see what is peculiar to some minutes of the hour as if it held at all, or never.
    """
    step, day = stride(spacing), position // DAY
    opens = day * DAY
    last = opens - 1 - (opens - 1 - (day - 1) * step) % spacing  # the last of the day before
    return np.asarray(((position - day * step) % spacing == 0) & (position - last >= spacing))


def spacing_for(horizon: int, bars: int) -> int:
    """Bars between training rows: the largest divisor of the horizon that is at most a DENSITY-th of it and gives
    ENOUGH rows of `bars`; at least 1.

    >>> spacing_for(60, 120_000), spacing_for(75, 20_000), spacing_for(75, 12_000), spacing_for(60, 10)
    (20, 25, 15, 1)
    """
    fit = [k for k in range(horizon // DENSITY, 0, -1) if horizon % k == 0 and bars // k >= ENOUGH]
    return fit[0] if fit else 1
