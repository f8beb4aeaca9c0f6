"""What a posterior over run lengths says at each bar, a trajectory a segment; see kernels/run_lengths.py."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batches, kernel, wide
from bqx.features.kernels.mathfun import log_ratio, to_bits
from bqx.features.kernels.run_lengths import (
    BETA,
    FINE,
    HEAD_ROWS,
    LEAST,
    LENGTH,
    LOG_MASS,
    LOG_SCALE,
    MASS,
    SCALE,
    SHARE,
    SLOT_ROWS,
    SLOTS,
    TAKEN,
    USED,
    begin,
    constants,
    run_lengths_step,
)

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
B1 = NDArray[np.bool_]
Pair = tuple[float, float]

RECENT = 15
"""A run of at most so many values is a recent change."""
FLAT = 1e-18
"""A variance of at most this is rounding of equal values."""

MODE, AVERAGE, YOUNG, ENTROPY, SHIFT = range(5)
QUANTITIES = 5
"""Run length of the most probable birth, as ln(1 + length); mean run length, likewise; probability
of at most RECENT values; entropy of the slots over ln SLOTS; ln of the predictive variance of the most probable run
over the trailing variance."""


@kernel
def _products(a: int, b: int, c: int, used: int, slots: F8) -> Pair:
    """Sums of row a times row b and of row a times row c, each in four parts so that they do not wait for one
    another."""
    p, q, r, s, t, u, v, w = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(0, used - 3, 4):
        p += slots[a, k] * slots[b, k]
        q += slots[a, k + 1] * slots[b, k + 1]
        r += slots[a, k + 2] * slots[b, k + 2]
        s += slots[a, k + 3] * slots[b, k + 3]
        t += slots[a, k] * slots[c, k]
        u += slots[a, k + 1] * slots[c, k + 1]
        v += slots[a, k + 2] * slots[c, k + 2]
        w += slots[a, k + 3] * slots[c, k + 3]
    for k in range(used - used % 4, used):
        p += slots[a, k] * slots[b, k]
        t += slots[a, k] * slots[c, k]
    return (p + q) + (r + s), (t + u) + (v + w)


@kernel
def _most_probable(mass: int, used: int, slots: F8) -> int:
    """Slot of the largest mass of one birth, the elder of two that are equal. By the bits, which have the order of the
    masses: the largest of whole numbers vectorises."""
    wide()
    most = 0
    for s in range(used):
        most = max(most, to_bits(slots[mass, s] * slots[SHARE, s]))
    at = used
    for s in range(used):
        at = min(at, s if to_bits(slots[mass, s] * slots[SHARE, s]) == most else used)
    return at


@kernel
def change_point_row(variance: float, hazard: float, which: int, slots: F8, head: F8, out: F8) -> None:
    """The QUANTITIES of one lane under hazard number `which` into out (QUANTITIES,), after the value of the bar was
    taken in. variance : the trailing one."""
    used, mass = int(head[USED]) - 1, MASS + which
    scale, log_scale = head[SCALE + which], head[LOG_SCALE + which]
    at = _most_probable(mass, used + 1, slots)
    n = slots[LENGTH, at]
    # a run of no values predicts by its prior: beta = variance, kappa = 1, alpha = 2
    beta = slots[BETA, at] if n > 0.0 else variance
    young, s = hazard, used - 1
    while s >= 0 and slots[LENGTH, s] <= RECENT:
        young += slots[mass, s] * scale
        s -= 1
    spread = hazard * log_ratio(hazard, 1.0) + (1.0 - hazard) * log_scale
    by_log, by_length = _products(mass, LOG_MASS + which, LENGTH, used, slots)
    spread += scale * by_log
    out[MODE] = log_ratio(1.0 + n, 1.0)
    out[AVERAGE] = log_ratio(1.0 + scale * by_length, 1.0)
    out[YOUNG] = min(young, 1.0)
    out[ENTROPY] = min(max(-spread / log_ratio(float(SLOTS), 1.0), 0.0), 1.0)
    out[SHIFT] = log_ratio(beta * (n + 2.0) / ((1.0 + 0.5 * n) * (1.0 + n)), variance)


@kernel
def _usable(value: float, variance: float) -> bool:
    return (value == value) & (variance > FLAT)


@batches(2 * QUANTITIES)
def _change_points(
    out: tuple[F8, ...], x: F8, variance: F8, starts: NDArray[np.int64], wanted: B1, hazards: Pair, need: int,
    burn: int, least: float, fine: int, table: F8,
) -> None:  # fmt: skip
    n, p = x.shape
    slots, head, now = np.zeros((SLOT_ROWS, SLOTS)), np.zeros(HEAD_ROWS), np.empty(QUANTITIES)
    for j in range(p):
        for i in range(len(starts)):
            start, stop = starts[i], starts[i + 1] if i + 1 < len(starts) else n
            for k in range(len(out)):
                out[k][start:stop, j] = np.nan
            if not wanted[i, j]:
                continue
            begin(slots, head)
            for r in range(max(0, start - burn), stop):
                if not _usable(x[r, j], variance[r, j]):
                    continue
                run_lengths_step(x[r, j], variance[r, j], hazards, least, fine, table, slots, head)
                if r < start or head[TAKEN] < need:
                    continue
                for which in range(len(hazards)):
                    change_point_row(variance[r, j], hazards[which], which, slots, head, now)
                    for k in range(QUANTITIES):
                        out[which * QUANTITIES + k][r, j] = now[k]


def change_points(
    x: F8, variance: F8, seg_age: I4, wanted: B1, hazards: Pair, need: int, burn: int, least: float = LEAST,
    fine: int = FINE,
) -> tuple[F8, ...]:  # fmt: skip
    """The QUANTITIES under the first hazard, then those under the second. Shapes (n, pairs).

    x : a series of about constant deviation. variance : its trailing one, beta of a run that begins here. wanted
    (segments, pairs) : what to compute. NaN where either is, where the variance is at most FLAT, and before `need`
    values were taken in. The trajectory of a segment begins `burn` open minutes before it. least, fine : see
    :func:`bqx.features.kernels.run_lengths.thin`.
    """
    starts = np.flatnonzero(seg_age == 0)
    return _change_points(x, variance, starts, wanted, hazards, need, burn, least, fine, constants())
