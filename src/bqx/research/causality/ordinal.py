"""The cheap screen: transfer entropy of the order of three values (Staniek and Lehnertz 2008)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.market.sim_math import kernel, log

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
PATTERNS = 6
DELAYS = 3
"""Delays of the source that are tried: it may lead by 1, 2 or 3 steps."""


@kernel
def patterns(x: F8, age: I8) -> I8:
    """Order of x(t-2), x(t-1), x(t) as 0..5 (Bandt and Pompe 2002), -1 where age says that they are not all there.

    Equal values count as rising.
    """
    out = np.full(len(x), -1, np.int64)
    for t in range(2, len(x)):
        if age[t] >= 2:
            a, b, c = x[t - 2] <= x[t - 1], x[t - 2] <= x[t], x[t - 1] <= x[t]
            if a:
                out[t] = 0 if c else (1 if b else 2)
            else:
                out[t] = 3 if b else (4 if c else 5)
    return out


@kernel
def screen(target: I8, source: I8, rows: I8, delay: int, shifts: I8) -> F8:
    """TE in nats of pattern(t) given pattern(t-1) from the source's at t - delay, for each circular shift of the source
    over the rows; plug-in, its bias is what the surrogates have too. shifts[0] = 0 is the truth."""
    n, p = len(rows), PATTERNS
    out = np.empty(len(shifts))
    for b in range(len(shifts)):
        count = np.zeros((p, p, p))
        for i in range(n):
            j = i + shifts[b]
            if j >= n:
                j -= n
            count[target[rows[i] - 1], source[rows[j] - delay], target[rows[i]]] += 1.0
        total = 0.0
        for past in range(p):
            with_past = count[past].sum()
            for s in range(p):
                given = count[past, s].sum()
                for now in range(p):
                    c = count[past, s, now]
                    if c > 0.0:
                        total += c * log(c * with_past / (given * count[past, :, now].sum()))
        out[b] = total / n
    return out
