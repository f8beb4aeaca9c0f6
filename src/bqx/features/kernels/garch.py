"""GARCH(1,1): estimates by targeted quasi-likelihood, and the variance that goes on from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import exp, log_ratio
from bqx.features.kernels.moments import TINY

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

OMEGA, ALPHA, BETA, VARIANCE = range(4)
PARAMETERS = 4
"""VARIANCE : that of the change after the last one seen."""
ROUNDS = 60
"""Moves of the simplex: fixed, so that the bits do not hang on a tolerance; it has long stopped moving by then."""
MOST = 0.9999
"""Bound of alpha + beta."""


@kernel
def _logistic(x: float) -> float:
    y: float = 1.0 / (1.0 + exp(-x))
    return y


@kernel
def _loss(x: F8, mean_square: float, a: float, b: float) -> float:
    """Mean of ln h + x^2 / h over the valid x; alpha + beta and alpha's share of it in logistic coordinates."""
    whole = MOST * _logistic(a)
    alpha = whole * _logistic(b)
    beta = whole - alpha
    omega = mean_square * (1.0 - whole)
    h, total, count = mean_square, 0.0, 0
    for v in x:
        if v == v:
            total += log_ratio(h, mean_square) + v * v / h
            count += 1
            h = (omega + alpha * (v * v)) + beta * h
    return total / count


@kernel
def fit_garch(x: F8, out: F8) -> None:
    """Parameters of one pair's changes into out (PARAMETERS,): omega = mean square x (1 - alpha - beta) (Engle &
    Mezrich 1996), alpha and beta by the simplex of Nelder & Mead (1965); NaN where nothing moves."""
    square, count = 0.0, 0
    for v in x:
        square += v * v if v == v else 0.0
        count += 1 if v == v else 0
    out[:] = np.nan
    if count == 0 or square <= (TINY * TINY) * count:
        return
    square = square / count
    # corners: persistence and share of alpha about 0.97 and 0.06
    place, loss = np.empty((3, 2)), np.empty(3)
    for k in range(3):
        place[k, 0], place[k, 1] = 3.5 + (1.5 if k == 1 else 0.0), -2.75 + (1.0 if k == 2 else 0.0)
        loss[k] = _loss(x, square, place[k, 0], place[k, 1])
    for _ in range(ROUNDS):
        _move(x, square, place, loss)
    best = 0
    for k in range(1, 3):
        best = k if loss[k] < loss[best] else best
    whole = MOST * _logistic(place[best, 0])
    out[ALPHA] = whole * _logistic(place[best, 1])
    out[BETA] = whole - out[ALPHA]
    out[OMEGA] = square * (1.0 - whole)
    h = square
    for v in x:
        if v == v:
            h = (out[OMEGA] + out[ALPHA] * (v * v)) + out[BETA] * h
    out[VARIANCE] = h


@kernel
def _move(x: F8, square: float, place: F8, loss: F8) -> None:
    """One move of the simplex: its worst corner is reflected, goes farther or nearer, or all draw together."""
    for i in range(2):  # sorted by loss
        for k in range(2 - i):
            if loss[k + 1] < loss[k]:
                loss[k], loss[k + 1] = loss[k + 1], loss[k]
                for c in range(2):
                    place[k, c], place[k + 1, c] = place[k + 1, c], place[k, c]
    a, b = 0.5 * (place[0, 0] + place[1, 0]), 0.5 * (place[0, 1] + place[1, 1])
    da, db = a - place[2, 0], b - place[2, 1]
    there = _loss(x, square, a + da, b + db)
    step = 1.0
    if there < loss[0]:
        farther = _loss(x, square, a + 2.0 * da, b + 2.0 * db)
        if farther < there:
            step, there = 2.0, farther
    elif there >= loss[1]:
        step = 0.5 if there < loss[2] else -0.5
        there = _loss(x, square, a + step * da, b + step * db)
    if there < loss[2]:
        place[2, 0], place[2, 1], loss[2] = a + step * da, b + step * db, there
        return
    for k in range(1, 3):
        for c in range(2):
            place[k, c] = place[0, c] + 0.5 * (place[k, c] - place[0, c])
        loss[k] = _loss(x, square, place[k, 0], place[k, 1])


@kernel
def garch_from(x: F8, values: F8, which: I4, fresh: NDArray[np.bool_], held: F8, out: F8) -> None:
    """:func:`garch` going on from `held` (pairs,), the variances expected of the next changes."""
    for r in range(len(x)):
        k = which[r]
        for j in range(x.shape[1]):
            if k < 0:
                held[j], out[r, j] = np.nan, np.nan
                continue
            if fresh[r]:
                held[j] = values[k, j, VARIANCE]
            v = x[r, j]
            if v == v:
                held[j] = (values[k, j, OMEGA] + values[k, j, ALPHA] * (v * v)) + values[k, j, BETA] * held[j]
            out[r, j] = np.sqrt(held[j]) if v == v else np.nan


def garch(x: F8, values: F8, which: I4, fresh: NDArray[np.bool_]) -> F8:
    """Standard deviation expected of the next change, by the estimates in force: values (fits, pairs, PARAMETERS), of
    which row r has number which[r], none with -1. Where `fresh`, it begins with their variance. NaN where x is, which
    the recursion passes over. Shape (n, pairs)."""
    out = np.empty(x.shape)
    garch_from(x, values, which, fresh, np.full(x.shape[1], np.nan), out)
    return out
