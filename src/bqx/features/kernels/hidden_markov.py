"""Filtered probabilities of a hidden Markov chain of three states, each of which emits two independent normal values.

Scaled forward recursion (Rabiner 1989, Hamilton 1989), in lanes. What is known of the next bars enters nowhere. A
state's rows stand `LANES` apart in one flat array: with fixed distances the compiler sees that they do not overlap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.hidden_markov_fit import LN_2PI
from bqx.features.kernels.jit import batches, kernel
from bqx.features.kernels.mathfun import exp, log_ratio

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
B1 = NDArray[np.bool_]

LANES = 32
"""Most lanes side by side."""
STATES, LN_3, SMALLEST = 3, 1.0986122886681098, 1e-300

MEAN_X, MEAN_Y, HALF_X, HALF_Y, HEIGHT, MOVE, LEAVE, STAY = 0, 3, 6, 9, 12, 15, 24, 27
MODEL_ROWS = 30
"""A model: means of x, of y, 1 / (2 variance) of x, of y and the logarithm of the density's height by state;
transition matrix, row by row; probability to leave each state, and its inverse."""

PROB, WEIGHT, WHICH, TOP, VALID, SUM, CODE, LENGTH, COUNT, POWER = 0, 3, 6, 7, 8, 9, 10, 11, 12, 13
STATE_ROWS = 15
"""A filter's state: probabilities; of the latest row its densities over the largest, which that is and its logarithm,
whether there was a value, and the predictive density over the largest; the most probable state, values since it
changed, that one included, and values taken in; two rows of scratch."""

CALM, TREND, SHOCK, CODES, DURATION, SWITCH, ENTROPY, EXPECTED, NLL = range(9)
OUTPUTS = 9
"""Of :func:`filtered`."""


def arrange(mean_x: F8, mean_y: F8, var_x: F8, var_y: F8, move: F8) -> F8:
    """Models for the filter, flat: (models, MODEL_ROWS * LANES), from arrays (models, pairs, 3) and, of transition
    probabilities, (models, pairs, 3, 3); pairs <= LANES. NaN models give NaN."""
    count, p = mean_x.shape[:2]
    out = np.full((count, MODEL_ROWS, LANES), np.nan)
    for s in range(STATES):
        out[:, MEAN_X + s, :p], out[:, MEAN_Y + s, :p] = mean_x[:, :, s], mean_y[:, :, s]
        out[:, HALF_X + s, :p], out[:, HALF_Y + s, :p] = 0.5 / var_x[:, :, s], 0.5 / var_y[:, :, s]
        others = [k for k in range(STATES) if k != s]
        out[:, LEAVE + s, :p] = move[:, :, s, others[0]] + move[:, :, s, others[1]]
        out[:, STAY + s, :p] = 1.0 / out[:, LEAVE + s, :p]
        for k in range(STATES):
            out[:, MOVE + STATES * s + k, :p] = move[:, :, s, k]
        _heights(np.ascontiguousarray(var_x[:, :, s] * var_y[:, :, s]), s, out)
    return out.reshape(count, MODEL_ROWS * LANES)


@kernel
def _heights(product: F8, state: int, out: F8) -> None:
    """ln of the largest density, from the product of the variances (models, pairs)."""
    for k in range(product.shape[0]):
        for j in range(product.shape[1]):
            out[k, HEIGHT + state, j] = -LN_2PI - 0.5 * log_ratio(product[k, j], 1.0)


@kernel
def clear_filter(state: F8) -> None:
    """A fresh trajectory: each state as likely."""
    for k in range(STATE_ROWS * LANES):
        state[k] = 1.0 / 3.0 if k < STATES * LANES else 0.0


@kernel
def _densities(x: F8, y: F8, row: int, m: F8, s: F8) -> None:
    p = x.shape[1]
    for j in range(p):
        u, v = x[row, j], y[row, j]
        valid = (u == u) & (v == v)
        u, v = u if valid else 0.0, v if valid else 0.0
        a, b = u - m[j], v - m[3 * LANES + j]
        f = m[12 * LANES + j] - (m[6 * LANES + j] * (a * a) + m[9 * LANES + j] * (b * b))
        a, b = u - m[LANES + j], v - m[4 * LANES + j]
        g = m[13 * LANES + j] - (m[7 * LANES + j] * (a * a) + m[10 * LANES + j] * (b * b))
        a, b = u - m[2 * LANES + j], v - m[5 * LANES + j]
        h = m[14 * LANES + j] - (m[8 * LANES + j] * (a * a) + m[11 * LANES + j] * (b * b))
        top = f if f > g else g
        top = top if top > h else h
        # one of the three is e^0: exponentials of the other two
        s[13 * LANES + j] = (g if f == top else f) - top
        s[14 * LANES + j] = (g if h == top else h) - top
        s[6 * LANES + j] = 0.0 if f == top else 2.0 if h == top else 1.0
        s[7 * LANES + j] = top
        s[8 * LANES + j] = 1.0 if valid else 0.0
    for j in range(p):
        s[13 * LANES + j] = exp(s[13 * LANES + j])
    for j in range(p):
        s[14 * LANES + j] = exp(s[14 * LANES + j])
    for j in range(p):  # into rows of their own: where `a` is overwritten, LLVM 22 takes its new value for the old
        a, b, which = s[13 * LANES + j], s[14 * LANES + j], s[6 * LANES + j]
        s[3 * LANES + j] = 1.0 if which == 0.0 else a
        s[4 * LANES + j] = a if which == 0.0 else b if which == 2.0 else 1.0
        s[5 * LANES + j] = 1.0 if which == 2.0 else b


@kernel
def filter_step(x: F8, y: F8, row: int, model: F8, cap: float, state: F8) -> None:
    """One step of the chain, and row `row` of x and y taken in; lanes without a value step only.

    model : (MODEL_ROWS * LANES,). state : (STATE_ROWS * LANES,).
    """
    m, s, p = model, state, x.shape[1]
    _densities(x, y, row, m, s)
    for j in range(p):
        f, g, h = s[j], s[LANES + j], s[2 * LANES + j]
        a = (f * m[15 * LANES + j] + g * m[18 * LANES + j]) + h * m[21 * LANES + j]
        b = (f * m[16 * LANES + j] + g * m[19 * LANES + j]) + h * m[22 * LANES + j]
        c = (f * m[17 * LANES + j] + g * m[20 * LANES + j]) + h * m[23 * LANES + j]
        valid = s[8 * LANES + j] > 0.0
        f, g, h = a * s[3 * LANES + j], b * s[4 * LANES + j], c * s[5 * LANES + j]
        f, g, h = f if valid else a, g if valid else b, h if valid else c
        total = (f + g) + h
        each = 1.0 / total
        s[j], s[LANES + j], s[2 * LANES + j] = f * each, g * each, h * each
        s[9 * LANES + j] = total
    for j in range(p):
        f, g, h, one = s[j], s[LANES + j], s[2 * LANES + j], s[8 * LANES + j]
        best = 1.0 if g > f else 0.0
        best = 2.0 if h > (g if g > f else f) else best
        code = s[10 * LANES + j]
        new = best if one > 0.0 else code
        length = s[11 * LANES + j] + one
        length = length if length < cap else cap
        length = length if (new == code) & (s[12 * LANES + j] > 0.0) else one
        s[11 * LANES + j] = length
        s[10 * LANES + j] = new
        s[12 * LANES + j] += one


@kernel
def filter_row(model: F8, need: float, cap: float, state: F8, found: F8) -> None:
    """The OUTPUTS of the latest step into `found` (OUTPUTS * LANES,), NaN where it had no value or before `need`
    values (duration : `cap` + 1)."""
    m, s = model, state
    for j in range(LANES):
        ok = (s[8 * LANES + j] > 0.0) & (s[12 * LANES + j] >= need)
        f, g, h = s[j], s[LANES + j], s[2 * LANES + j]
        f, g, h = f if f < 1.0 else 1.0, g if g < 1.0 else 1.0, h if h < 1.0 else 1.0
        known = ok & (m[j] == m[j])
        f = f if known else np.nan
        found[j], found[LANES + j], found[2 * LANES + j] = f, g if known else np.nan, h if known else np.nan
        found[3 * LANES + j] = s[10 * LANES + j] if known else np.nan
        found[4 * LANES + j] = 1.0 + s[11 * LANES + j] if known & (s[12 * LANES + j] > cap) else np.nan
        found[5 * LANES + j] = (f * m[24 * LANES + j] + g * m[25 * LANES + j]) + h * m[26 * LANES + j]
        found[7 * LANES + j] = (f * m[27 * LANES + j] + g * m[28 * LANES + j]) + h * m[29 * LANES + j]
        found[8 * LANES + j] = s[9 * LANES + j] if known else np.nan
    for j in range(LANES):
        f, g = found[j], found[LANES + j]
        a, b = f if f > SMALLEST else SMALLEST, g if g > SMALLEST else SMALLEST
        found[6 * LANES + j] = f * log_ratio(a, 1.0) + g * log_ratio(b, 1.0)
    for j in range(LANES):
        h = found[2 * LANES + j]
        a = h if h > SMALLEST else SMALLEST
        e = -(found[6 * LANES + j] + h * log_ratio(a, 1.0)) / LN_3
        e = e if e > 0.0 else 0.0
        e = e if e < 1.0 else 1.0
        found[6 * LANES + j] = e if h == h else np.nan
    for j in range(LANES):
        found[4 * LANES + j] = log_ratio(found[4 * LANES + j], 1.0)
    for j in range(LANES):
        found[7 * LANES + j] = log_ratio(found[7 * LANES + j], 1.0)
    for j in range(LANES):
        found[8 * LANES + j] = -(s[7 * LANES + j] + log_ratio(found[8 * LANES + j], 1.0))


@kernel
def _write(found: F8, out: tuple[F8, ...], row: int) -> None:
    calm, trend, shock, code, duration, switch, entropy, expected, nll = out
    for j in range(calm.shape[1]):
        calm[row, j], trend[row, j], shock[row, j] = found[j], found[LANES + j], found[2 * LANES + j]
    for j in range(calm.shape[1]):
        code[row, j], duration[row, j] = found[3 * LANES + j], found[4 * LANES + j]
        switch[row, j] = found[5 * LANES + j]
    for j in range(calm.shape[1]):
        entropy[row, j], expected[row, j], nll[row, j] = (
            found[6 * LANES + j],
            found[7 * LANES + j],
            found[8 * LANES + j],
        )


@batches(OUTPUTS)
def _filtered(
    out: tuple[F8, ...],
    x: F8,
    y: F8,
    models: F8,
    which: I4,
    seg_age: I4,
    active: B1,
    burn: int,
    need: float,
    cap: float,
) -> None:
    state, found = np.zeros(STATE_ROWS * LANES), np.full(OUTPUTS * LANES, np.nan)
    for r in range(len(x)):
        if seg_age[r] == 0:
            clear_filter(state)
            for k in range(OUTPUTS * LANES):
                found[k] = np.nan
            for k in range(max(0, r - burn), r):
                if active[k] and which[r] >= 0:
                    filter_step(x, y, k, models[which[r]], cap, state)
        if active[r] and which[r] >= 0:
            filter_step(x, y, r, models[which[r]], cap, state)
            filter_row(models[which[r]], need, cap, state, found)
        _write(found, out, r)


def filtered(
    x: F8, y: F8, models: F8, which: I4, seg_age: I4, active: B1, burn: int, need: int, cap: int
) -> tuple[F8, ...]:
    """Probabilities of the three states, the most probable one, ln(1 + values since it became so, at most `cap`),
    probability to leave the state at the next step, entropy over ln 3, logarithm of the expected stay, and -ln of the
    density that the step before gave to x and y. Shapes (n, pairs), pairs <= LANES.

    models : from :func:`arrange`; which : the one in force in each row's segment, -1 for none. active : rows that
    are steps of the chain; in between, the last one's outputs hold, until the segment ends. The trajectory of a segment
    starts `burn` open minutes before it, with its own model. A row without a value is a step that takes nothing in and
    emits NaN; so are the first `need` - 1 values, of the duration `cap`.
    """
    return _filtered(x, y, models, which, seg_age, active, burn, float(need), float(cap))
