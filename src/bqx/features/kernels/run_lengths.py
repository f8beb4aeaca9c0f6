"""Bayesian online change-point detection (Adams & MacKay 2007): how long the present regime of a series has lasted.

Each run (values since a change) is a normal-inverse-gamma belief about mean and variance, whose predictive is Student's
t; the posterior over run lengths moves by one value at a time. Old runs are thinned: eight births that follow each
other become one slot when the youngest is over 64 values old, that of the heaviest; slots that weigh nothing go.
One lane is one list of slots, oldest first; the same predictives serve several hazards.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel, wide
from bqx.features.kernels.mathfun import exp, log_ratio

F8 = NDArray[np.float64]

LONGEST, FINE, OCTET = 2000, 64, 8
"""Longest run; up to this length every run has its own slot; births that share a slot later."""
SLOTS = 314
"""Most there can be: 73 fine ones just before the eldest eight become one, and 241 of eight births each."""
LEAST = 1e-6
"""A slot of less mass under every hazard is dropped."""

MEAN, BETA, LOG_BETA, LENGTH, SHARE, MASS, MASS_B, LOG_MASS, LOG_MASS_B, LOG_P, CONSTANT = range(11)
SLOT_ROWS = 11
"""Rows of the slots: the run's posterior mean, beta and ln beta, values in it; the part of the mass that its heaviest
birth had when births became one; the mass under either hazard, to be multiplied by the scale, and their logarithms;
scratch."""

USED, TAKEN, SCALE, SCALE_B, LOG_SCALE, LOG_SCALE_B = range(6)
HEAD_ROWS = 6
"""Of a lane: slots in use, values taken in, what normalises the masses."""

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


@lru_cache(maxsize=1)
def constants() -> F8:
    """ln of Gamma(a + 1/2) / Gamma(a) sqrt(k / (2 pi (k + 1))), a = 2 + n / 2, k = 1 + n, for n = 0 .. LONGEST: the
    Student density is that over sqrt(beta), times (1 + q) ** -(a + 1/2). By decimal arithmetic: no platform's lgamma
    enters, and Gamma(x + 1) = x Gamma(x) is exact."""
    out = np.empty(LONGEST + 1)
    with localcontext() as context:
        context.prec = 40
        # Gamma(5/2) / Gamma(2) and Gamma(3) / Gamma(5/2), over sqrt(2 pi)
        ratio = [Decimal(3) / 4 / Decimal(2).sqrt(), Decimal(8) / 3 / PI / Decimal(2).sqrt()]
        for n in range(LONGEST + 1):
            out[n] = log_ratio(float(ratio[n % 2] * (Decimal(n + 1) / Decimal(n + 2)).sqrt()), 1.0)
            ratio[n % 2] = ratio[n % 2] * (n + 5) / (n + 4)
    return out


@kernel
def begin(slots: F8, head: F8) -> None:
    """A fresh trajectory: one run of no values."""
    head[USED], head[TAKEN] = 1.0, 0.0
    head[SCALE], head[SCALE_B], head[LOG_SCALE], head[LOG_SCALE_B] = 1.0, 1.0, 0.0, 0.0
    slots[MEAN, 0], slots[LENGTH, 0], slots[SHARE, 0] = 0.0, 0.0, 1.0
    slots[MASS, 0], slots[MASS_B, 0], slots[LOG_MASS, 0], slots[LOG_MASS_B, 0] = 1.0, 1.0, 0.0, 0.0


@kernel
def _look_up(used: int, table: F8, slots: F8) -> None:
    wide()
    for s in range(used):
        slots[CONSTANT, s] = table[np.uint32(slots[LENGTH, s])]


@kernel
def _predict(value: float, used: int, slots: F8) -> None:
    """ln of each run's density of `value` into LOG_P; the value into each run."""
    wide()
    for s in range(used):
        n, beta, log_beta = slots[LENGTH, s], slots[BETA, s], slots[LOG_BETA, s]
        d = value - slots[MEAN, s]
        w = 1.0 / ((n + 2.0) * beta)
        q = 1.0 + ((0.5 * d * d) * (n + 1.0)) * w
        log_q = log_ratio(q, 1.0)
        slots[LOG_P, s] = (slots[CONSTANT, s] - 0.5 * log_beta) - (2.5 + 0.5 * n) * log_q
        slots[MEAN, s] += d * (w * beta)
        slots[BETA, s] = beta * q
        slots[LOG_BETA, s] = log_beta + log_q
        slots[LENGTH, s] = n + 1.0


@kernel
def _weigh(used: int, slots: F8, head: F8) -> None:
    """The scaled masses times the densities."""
    wide()
    a, b, log_a, log_b = head[SCALE], head[SCALE_B], head[LOG_SCALE], head[LOG_SCALE_B]
    for s in range(used):
        log_p = slots[LOG_P, s]
        p = exp(log_p)
        slots[MASS, s] = slots[MASS, s] * (a * p)
        slots[MASS_B, s] = slots[MASS_B, s] * (b * p)
        slots[LOG_MASS, s] += log_a + log_p
        slots[LOG_MASS_B, s] += log_b + log_p


@kernel
def total(row: int, used: int, slots: F8) -> float:
    """Sum of a row of the slots, in eight parts so that they do not wait for one another."""
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for s in range(0, used - 7, 8):
        a += slots[row, s]
        b += slots[row, s + 1]
        c += slots[row, s + 2]
        d += slots[row, s + 3]
        e += slots[row, s + 4]
        f += slots[row, s + 5]
        g += slots[row, s + 6]
        h += slots[row, s + 7]
    for s in range(used - used % 8, used):
        a += slots[row, s]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@kernel
def _normalise(used: int, hazard: float, mass: int, slots: F8, head: F8) -> None:
    """A run of no values has mass `hazard`, all others together 1 - hazard."""
    scale = (1.0 - hazard) / total(mass, used, slots)
    log_scale = log_ratio(scale, 1.0)
    head[SCALE + mass - MASS], head[LOG_SCALE + mass - MASS] = scale, log_scale
    slots[mass, used] = hazard / scale
    slots[mass + 2, used] = log_ratio(hazard, 1.0) - log_scale


@kernel
def _copy(source: int, to: int, rows: int, slots: F8) -> None:
    if source != to:
        for k in range(rows):
            slots[k, to] = slots[k, source]


@kernel
def _merge(old: int, s: int, slots: F8, head: F8) -> None:
    """Slot s into `old`: the masses add up, the heaviest run stays."""
    a, b = head[SCALE], head[SCALE_B]
    peak = (slots[MASS, old] * a + slots[MASS_B, old] * b) * slots[SHARE, old]
    other = slots[MASS, s] * a + slots[MASS_B, s] * b
    mass, mass_b = slots[MASS, old] + slots[MASS, s], slots[MASS_B, old] + slots[MASS_B, s]
    log_mass = max(slots[LOG_MASS, old], slots[LOG_MASS, s])
    log_mass_b = max(slots[LOG_MASS_B, old], slots[LOG_MASS_B, s])
    if other > peak:
        _copy(s, old, MASS, slots)
    slots[SHARE, old] = max(other, peak) / (mass * a + mass_b * b)
    slots[MASS, old], slots[MASS_B, old] = mass, mass_b
    # a mass under the smallest float keeps the logarithm of its larger part
    slots[LOG_MASS, old] = log_ratio(mass, 1.0) if mass > 1e-300 else log_mass
    slots[LOG_MASS_B, old] = log_ratio(mass_b, 1.0) if mass_b > 1e-300 else log_mass_b


@kernel
def _move(source: F8, to: F8) -> None:
    for s in range(len(to)):
        to[s] = source[s]


@kernel
def _forget(used: int, taken: float, slots: F8) -> int:
    """Without the eldest runs that would pass LONGEST; how many are left. Row by row, which vectorises."""
    while used > 0 and taken - np.floor((taken - slots[LENGTH, 0]) / OCTET) * OCTET + OCTET > LONGEST:
        used -= 1
        for k in range(LOG_P):
            _move(slots[k, 1 : used + 1], slots[k, :used])
    return used


@kernel
def thin(least: float, fine: int, slots: F8, head: F8) -> None:
    """Before a value, where as many were taken in as a multiple of eight: runs that would pass LONGEST go, births that
    are all over `fine` values old become one, and what weighs less than `least` goes."""
    used, taken = _forget(int(head[USED]), head[TAKEN], slots), head[TAKEN]
    kept, last = 0, -1.0
    for s in range(used):
        octet = np.floor((taken - slots[LENGTH, s]) / OCTET)
        if octet == last and taken - octet * OCTET - (OCTET - 1) > fine:
            _merge(kept - 1, s, slots, head)
            continue
        _copy(s, kept, LOG_P, slots)
        kept += 1
        last = octet
    used, kept = kept, 0
    a, b = head[SCALE], head[SCALE_B]
    for s in range(used):
        kept += 1 if max(slots[MASS, s] * a, slots[MASS_B, s] * b) >= least else 0
    if kept < used:
        kept = 0
        for s in range(used):
            if max(slots[MASS, s] * a, slots[MASS_B, s] * b) >= least:
                _copy(s, kept, LOG_P, slots)
                kept += 1
    head[USED] = float(kept)


@kernel
def run_lengths_step(
    value: float, variance: float, hazards: tuple[float, float], least: float, fine: int, table: F8, slots: F8, head: F8
) -> None:  # fmt: skip
    """Take a value in. variance : beta of the run that begins with it. slots (SLOT_ROWS, SLOTS), head (HEAD_ROWS,) of
    one lane; the newest slot is the run that begins with the next value. least, fine : of :func:`thin`, LEAST and FINE
    but in tests."""
    if head[TAKEN] % OCTET == 0.0:
        thin(least, fine, slots, head)
    used = int(head[USED])
    slots[BETA, used - 1], slots[LOG_BETA, used - 1] = variance, log_ratio(variance, 1.0)
    _look_up(used, table, slots)
    _predict(value, used, slots)
    _weigh(used, slots, head)
    _normalise(used, hazards[0], MASS, slots, head)
    _normalise(used, hazards[1], MASS_B, slots, head)
    slots[MEAN, used], slots[LENGTH, used], slots[SHARE, used] = 0.0, 0.0, 1.0
    head[USED] = used + 1.0
    head[TAKEN] += 1.0
