"""Maximum-likelihood models of a hidden Markov chain (Baum, Petrie, Soules and Weiss 1970), one series at a time.

A series of 20 equal stretches of time is 20 sequences that share a model. They advance side by side, which vectorises
the recursions and keeps models in registers; what they give is added up in their order at the end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import exp, log_ratio

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

DAYS = 20
"""Sequences side by side."""
STATES = 3
MEAN_X, MEAN_Y, VAR_X, VAR_Y, MOVE = 0, 3, 6, 9, 12
MODEL_ROWS = 21
"""A model: means of x, of y, variances of x, of y by state; transition matrix, row by row."""

LN_2PI = 1.8378770664093453
LEAST_VARIANCE, LEAST_MOVE, LEAST_WEIGHT = 1e-3, 1e-6, 1e-6
"""Floors: of variances (x and y have variance 1), of the transition probabilities, and of a state's share in all
values, below which it keeps its mean and variances."""

PARTS, FIRST_STAY, FLOOR = 5, 0.9, 1e-9
"""Starts see one part of so many; their chance to stay; x and y must deviate by more."""

CHUNK = 48
"""Rows whose densities are worked out at once."""
D = DAYS
WORK_ROWS = 7
"""Of a chunk, each of D values: densities over the largest by state (the first then gives way to their sum), the
logarithm of the largest, and scratch."""
SUM_ROWS = 30
"""Of expectations, each of D values: probabilities given all values, scratch (6); moves (9), weights, and sums of x, y,
x^2 and y^2 by state."""


@kernel
def _densities(x: F8, y: F8, begin: int, count: int, model: F8, work: F8) -> None:
    """Densities of `count` rows in each state over the largest, whose logarithm goes into TOP; 1 and 0 for a value
    that is NaN."""
    m = model
    hx0, hx1, hx2 = 0.5 / m[6], 0.5 / m[7], 0.5 / m[8]
    hy0, hy1, hy2 = 0.5 / m[9], 0.5 / m[10], 0.5 / m[11]
    c0 = -LN_2PI - 0.5 * log_ratio(m[6] * m[9], 1.0)
    c1 = -LN_2PI - 0.5 * log_ratio(m[7] * m[10], 1.0)
    c2 = -LN_2PI - 0.5 * log_ratio(m[8] * m[11], 1.0)
    x0, x1, x2, y0, y1, y2 = m[0], m[1], m[2], m[3], m[4], m[5]
    for t in range(count):
        for j in range(D):
            u, v = x[begin + t, j], y[begin + t, j]
            p = c0 - (hx0 * ((u - x0) * (u - x0)) + hy0 * ((v - y0) * (v - y0)))
            q = c1 - (hx1 * ((u - x1) * (u - x1)) + hy1 * ((v - y1) * (v - y1)))
            r = c2 - (hx2 * ((u - x2) * (u - x2)) + hy2 * ((v - y2) * (v - y2)))
            top = p if p > q else q
            top = top if top > r else r
            # one of the three is e^0: exponentials of the other two
            a, b = (q if p == top else p) - top, (q if r == top else r) - top
            work[t, 4 * D + j] = a if u == u else 0.0
            work[t, 5 * D + j] = b if u == u else 0.0
            work[t, 6 * D + j] = 0.0 if p == top else 1.0 if q == top else 2.0
            work[t, 3 * D + j] = top if u == u else 0.0
        for j in range(4 * D, 6 * D):
            work[t, j] = exp(work[t, j])
        for j in range(D):
            a, b, which = work[t, 4 * D + j], work[t, 5 * D + j], work[t, 6 * D + j]
            lead, last = which == 0.0, which == 2.0
            work[t, j] = 1.0 if lead else a
            work[t, D + j] = a if lead else b if last else 1.0
            work[t, 2 * D + j] = 1.0 if last else b


@kernel
def _forward(x: F8, y: F8, model: F8, path: F8, work: F8, score: bool) -> float:
    """Filtered probabilities into `path`; with `score` the logarithm of the likelihood is returned."""
    m = model
    a00, a01, a02, a10, a11, a12, a20, a21, a22 = m[12], m[13], m[14], m[15], m[16], m[17], m[18], m[19], m[20]
    total = 0.0
    rows = len(x)
    for begin in range(0, rows, CHUNK):
        count = min(CHUNK, rows - begin)
        _densities(x, y, begin, count, model, work)
        for t in range(count):
            row = begin + t
            if row == 0:
                for j in range(3 * D):
                    path[row, j] = 1.0 / 3.0
            else:
                for j in range(D):
                    p, q, r = path[row - 1, j], path[row - 1, D + j], path[row - 1, 2 * D + j]
                    path[row, j] = (p * a00 + q * a10) + r * a20
                    path[row, D + j] = (p * a01 + q * a11) + r * a21
                    path[row, 2 * D + j] = (p * a02 + q * a12) + r * a22
            for j in range(D):
                p = path[row, j] * work[t, j]
                q = path[row, D + j] * work[t, D + j]
                r = path[row, 2 * D + j] * work[t, 2 * D + j]
                s = (p + q) + r
                each = 1.0 / s
                path[row, j], path[row, D + j], path[row, 2 * D + j] = p * each, q * each, r * each
                work[t, j] = s
        if score:
            for t in range(count):
                for j in range(D):
                    work[t, j] = work[t, 3 * D + j] + log_ratio(work[t, j], 1.0)
                for j in range(D):
                    total += work[t, j]
    return total


@kernel
def _count_moves(path: F8, t: int, state: int, at: int, sums: F8) -> None:
    """Moves from a state; a kernel of its own because small loops vectorise."""
    for j in range(D):
        p, u, v, w = path[t, state * D + j], sums[3 * D + j], sums[4 * D + j], sums[5 * D + j]
        sums[at * D + j] += p * u
        sums[(at + 1) * D + j] += p * v
        sums[(at + 2) * D + j] += p * w


@kernel
def _count_values(x: F8, y: F8, t: int, state: int, sums: F8) -> None:
    for j in range(D):
        u, v = x[t, j], y[t, j]
        valid = u == u
        u, v = u if valid else 0.0, v if valid else 0.0
        g = sums[state * D + j] if valid else 0.0
        sums[(15 + state) * D + j] += g
        sums[(18 + state) * D + j] += g * u
        sums[(21 + state) * D + j] += g * v
        sums[(24 + state) * D + j] += (g * u) * u
        sums[(27 + state) * D + j] += (g * v) * v


@kernel
def _backward(x: F8, y: F8, model: F8, path: F8, sums: F8) -> None:
    """Expected moves and moments given all values, into `sums`."""
    m = model
    a00, a01, a02, a10, a11, a12, a20, a21, a22 = m[12], m[13], m[14], m[15], m[16], m[17], m[18], m[19], m[20]
    sums[:] = 0.0
    rows = len(x)
    for k in range(3 * D):
        sums[k] = path[rows - 1, k]
    for t in range(rows - 1, -1, -1):
        if t < rows - 1:
            for j in range(D):
                p, q, r = path[t, j], path[t, D + j], path[t, 2 * D + j]
                u = sums[j] / ((p * a00 + q * a10) + r * a20)
                v = sums[D + j] / ((p * a01 + q * a11) + r * a21)
                w = sums[2 * D + j] / ((p * a02 + q * a12) + r * a22)
                sums[j] = p * ((u * a00 + v * a01) + w * a02)
                sums[D + j] = q * ((u * a10 + v * a11) + w * a12)
                sums[2 * D + j] = r * ((u * a20 + v * a21) + w * a22)
                sums[3 * D + j], sums[4 * D + j], sums[5 * D + j] = u, v, w
            _count_moves(path, t, 0, 6, sums)
            _count_moves(path, t, 1, 9, sums)
            _count_moves(path, t, 2, 12, sums)
        _count_values(x, y, t, 0, sums)
        _count_values(x, y, t, 1, sums)
        _count_values(x, y, t, 2, sums)


@kernel
def _maximise(sums: F8, model: F8) -> None:
    """The model that is most likely given the expectations in `sums`, in place of `model`; see the floors above."""
    total = np.zeros(SUM_ROWS)
    for k in range(SUM_ROWS):
        for j in range(D):
            total[k] += sums[k * D + j]
    whole = (total[15] + total[16]) + total[17]
    for i in range(STATES):
        weight = total[15 + i]
        if weight > LEAST_WEIGHT * whole:
            for at, one, two in ((0, 18, 24), (3, 21, 27)):
                mean = total[one + i] / weight
                model[at + i] = mean
                model[at + 6 + i] = max(total[two + i] / weight - mean * mean, LEAST_VARIANCE)
        added = 0.0
        for k in range(STATES):
            at = MOVE + STATES * i + k
            model[at] = model[at] * total[6 + STATES * i + k]
            added += model[at]
        again = 0.0
        for k in range(STATES):
            at = MOVE + STATES * i + k
            model[at] = max(model[at] / added, LEAST_MOVE) if added > 0.0 else 1.0 / STATES
            again += model[at]
        for k in range(STATES):
            model[MOVE + STATES * i + k] /= again


@kernel
def refine(x: F8, y: F8, model: F8, rounds: int, path: F8, work: F8, sums: F8) -> float:
    """`rounds` rounds of expectation and maximisation, in place; the logarithm of the likelihood after them."""
    for _ in range(rounds):
        _forward(x, y, model, path, work, False)
        _backward(x, y, model, path, sums)
        _maximise(sums, model)
    return _forward(x, y, model, path, work, True)


@kernel
def _scale(x: F8) -> tuple[float, float]:
    """Mean and standard deviation of what is not NaN."""
    n, total = 0.0, 0.0
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = x[t, j]
            n += 1.0 if v == v else 0.0
            total += v if v == v else 0.0
    mean, square = total / n, 0.0
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            d = x[t, j] - mean
            square += d * d if d == d else 0.0
    return mean, np.sqrt(square / n)


@kernel
def _part(x: F8, out: F8) -> None:
    """A fifth of each sequence into `out`: the first fifth of the first, the second of the second, and so on."""
    rows = len(out)
    for j in range(D):
        begin = j % PARTS * rows
        for t in range(rows):
            out[t, j] = x[begin + t, j]


@kernel
def _fit(x: F8, y: F8, picks: I8, short: int, long: int, floor: float) -> F8:
    out = np.full(MODEL_ROWS + 1, np.nan)
    mean_x, scale_x = _scale(x)
    mean_y, scale_y = _scale(y)
    if not (scale_x > floor and scale_y > floor):
        return out
    n = 0
    for t in range(len(x)):
        for j in range(D):
            n += 1 if x[t, j] == x[t, j] else 0
            x[t, j] = (x[t, j] - mean_x) / scale_x
            y[t, j] = (y[t, j] - mean_y) / scale_y
    rows = len(x) // PARTS
    part_x, part_y = np.empty((rows, D)), np.empty((rows, D))
    _part(x, part_x)
    _part(y, part_y)
    path, work, sums = np.empty((len(x), STATES * D)), np.empty((CHUNK, WORK_ROWS * D)), np.empty(SUM_ROWS * D)
    best, found = np.zeros(MODEL_ROWS), -np.inf
    for start in range(len(picks)):
        model = np.full(MODEL_ROWS, 1.0)
        for i in range(STATES):
            at = picks[start, i]
            model[MEAN_X + i], model[MEAN_Y + i] = x[at // D, at % D], y[at // D, at % D]
            for k in range(STATES):
                model[MOVE + STATES * i + k] = FIRST_STAY if k == i else 0.5 * (1.0 - FIRST_STAY)
        likely = refine(part_x, part_y, model, short, path, work, sums)
        if likely > found:
            best, found = model, likely
    likely = refine(x, y, best, long, path, work, sums)
    for i in range(STATES):
        out[MEAN_X + i] = mean_x + scale_x * best[MEAN_X + i]
        out[MEAN_Y + i] = mean_y + scale_y * best[MEAN_Y + i]
        out[VAR_X + i] = scale_x * scale_x * best[VAR_X + i]
        out[VAR_Y + i] = scale_y * scale_y * best[VAR_Y + i]
    out[MOVE:MODEL_ROWS] = best[MOVE:]
    out[MODEL_ROWS] = likely / n - log_ratio(scale_x * scale_y, 1.0)
    return out


def fit_chain(x: F8, y: F8, picks: I8, short: int, long: int) -> F8:
    """The model (MODEL_ROWS) of a series of pairs of values, and its mean log-likelihood a value; NaN when x or y does
    not vary.

    x, y : the series as DAYS stretches side by side, (rows, DAYS), NaN in both or in neither. picks : places (row *
    DAYS + column) of the values that are the states' first means, (starts, 3). Each start is refined `short` rounds on
    a fifth of the data; the likeliest goes on for `long` rounds on all. Each stretch begins with equal probabilities.
    """
    return _fit(x.copy(), y.copy(), picks, short, long, FLOOR)
