"""Granger causality of one series on another, given the other's own past and the common factors' past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CausalityError
from bqx.research.causality.distributions import chi2_tail, f_tail
from bqx.research.causality.hac import bandwidth, long_run
from bqx.research.causality.lagged import Lagged

F8 = NDArray[np.float64]
MAX_ORDER = 30
ROWS_A_PARAMETER = 5
COLLINEAR = 1e-4
"""A source whose first lag has less than this share of its variance left, given the rest, cannot be asked about."""


@dataclass(frozen=True, slots=True)
class Granger:
    """The answer to one question, from training rows.

    own : order of target and factors, by BIC without the source. order : of the source, by BIC given those. extra : 1
    when a lag more of all was added (Toda and Yamamoto 1995). f, f_p : sums of squares with and without the source.
    wald, wald_p : HAC (Newey and West 1987), over `order`, as F. lm_p : the same question by the scores under the null,
    which errs to the safe side where Wald errs to the other. p : the larger of the two times the price of having chosen
    the order, see `price`. lag, sign : of the source coefficient with the largest |t|. gain : ln(RSS without / with).
    """

    own: int
    order: int
    extra: int
    rows: int
    f: float
    f_p: float
    wald: float
    wald_p: float
    lm_p: float
    p: float
    lag: int
    sign: int
    gain: float


@dataclass(frozen=True)
class Fit:
    """Coefficients and training rows of one question; columns are those of the Lagged matrix."""

    answer: Granger
    base: list[int]
    source: list[int]
    small: F8
    large: F8
    tilde: F8
    null_error: F8


def price(order: int, most: int) -> float:
    """1 / w(order), w(m) = (1 + 1/M) / (m (m + 1)), which add up to 1 over m = 1..M.

    However the order was chosen, P(p price <= a) <= sum of w(m) a = a: the choice is paid for.

    >>> sum(1 / price(m, 30) for m in range(1, 31))
    1.0
    """
    return order * (order + 1) / (1.0 + 1.0 / most)


def independent(data: Lagged, target: int, controls: Sequence[int]) -> list[int]:
    """The controls, in their order, less those whose first lag is a linear combination of the target's and of those
    before: of few pairs two factors and a series can be one and the same plane."""
    kept: list[int] = []
    for control in controls:
        if _nested(data, [0, *data.lags([target, *kept, control], 1, 1)], data.at(target, 0)) is not None:
            kept.append(control)
    return kept


def own_order(data: Lagged, target: int, controls: Sequence[int], most: int, extra: int = 0) -> int:
    """Lags of target and controls, 1..most, by BIC without any source; CausalityError when too few rows are there."""
    block = [target, *controls]
    room = (len(data.rows) // ROWS_A_PARAMETER - 1) // len(block) - extra - 1
    most = min(most, room)
    if most < 1:
        raise CausalityError(
            f"{len(data.rows)} rows with all lags, {ROWS_A_PARAMETER * (1 + len(block) * (2 + extra))} are the least",
            fix="give a longer span, or a smaller --max-order",
        )
    columns = [0, *data.lags(block, 1, most)]
    rss = _nested(data, columns, data.at(target, 0))
    if rss is None:
        raise CausalityError("the lags of target and factors are linearly dependent", fix="give other pairs")
    sizes = 1 + len(block) * np.arange(1, most + 1)
    n = len(data.rows)
    return 1 + int(np.argmin(n * np.log(rss[sizes]) + math.log(n) * sizes))


def granger(data: Lagged, target: int, source: int, controls: Sequence[int], own: int, most: int,
            extra: int = 0, order: int | None = None) -> Fit | None:  # fmt: skip
    """Fit and tests; None when the source is linearly dependent on what is given.

    `order` is chosen by BIC from 1..most unless given, in which case nothing is paid for it.
    """
    n, y = len(data.rows), data.at(target, 0)
    base = [0, *data.lags([target, *controls], 1, own + extra)]
    if order is None:
        most = max(min(most, n // ROWS_A_PARAMETER - len(base)), 1)
        rss = _nested(data, [*base, *data.lags([source], 1, most)], y)
        if rss is None:
            return None
        sizes = np.arange(1, most + 1)
        m = 1 + int(np.argmin(n * np.log(rss[len(base) + sizes]) + math.log(n) * sizes))
        paid = price(m, most)
    else:
        m, paid = order, 1.0
    base = [*base, *data.lags([source], m + 1, m + extra)]
    tested = data.lags([source], 1, m)
    fitted = _regress(data, base, tested, y)
    return None if fitted is None else _tests(data, base, tested, y, fitted, own, extra, paid)


def _nested(data: Lagged, columns: list[int], y: int) -> F8 | None:
    """Residual sum of squares on the first k of the columns, k = 0..len; None when they are dependent."""
    every = [*columns, y]
    gram = data.cross(every, every)
    size = np.sqrt(np.diag(gram))
    if not size.all():
        return None
    try:
        root = np.linalg.cholesky(gram / np.outer(size, size))
    except np.linalg.LinAlgError:
        return None
    if np.diag(root)[:-1].min() ** 2 < COLLINEAR:
        return None
    explained = np.concatenate([[0.0], np.cumsum(root[-1, :-1] ** 2)])
    return np.asarray((1.0 - explained) * gram[-1, -1])


def _regress(data: Lagged, base: list[int], tested: list[int], y: int) -> tuple[F8, F8, F8] | None:
    """Coefficients without the source, with it, and of the source's lags on the base (base, m)."""
    if _nested(data, [*base, *tested], y) is None:
        return None
    every = [*base, *tested]
    small = np.linalg.solve(data.cross(base, base), data.cross(base, [y]))[:, 0]
    large = np.linalg.solve(data.cross(every, every), data.cross(every, [y]))[:, 0]
    projection = np.asarray(np.linalg.solve(data.cross(base, base), data.cross(base, tested)))
    return np.asarray(small), np.asarray(large), projection


def _tests(data: Lagged, base: list[int], tested: list[int], y: int, fitted: tuple[F8, F8, F8], own: int, extra: int,
           paid: float) -> Fit:  # fmt: skip
    small, large, projection = fitted
    X, S = data.block(base), data.block(tested)
    target = data.block([y])[:, 0]
    tilde = S - X @ projection
    null_error = target - X @ small
    error = target - X @ large[: len(base)] - S @ large[len(base) :]
    n, m = S.shape
    freedom = n - len(base) - m
    before, after = float(null_error @ null_error), float(error @ error)
    f = ((before - after) / m) / (after / freedom)
    bread = np.linalg.inv(tilde.T @ tilde)
    cover = bread @ long_run(tilde * error[:, None], bandwidth(n)) @ bread
    scores = tilde * null_error[:, None]
    pull = scores.sum(axis=0)
    lm_p = chi2_tail(float(pull @ np.linalg.solve(long_run(scores, bandwidth(n)), pull)), m)
    effect = large[len(base) :]
    wald = float(effect @ np.linalg.solve(cover, effect)) / m
    wald_p = f_tail(wald, m, freedom)
    strongest = int(np.argmax(np.abs(effect) / np.sqrt(np.diag(cover))))
    answer = Granger(
        own, m, extra, n, f, f_tail(f, m, freedom), wald, wald_p, lm_p, min(max(wald_p, lm_p) * paid, 1.0),
        strongest + 1, 1 if effect[strongest] > 0 else -1, math.log(before / after),
    )  # fmt: skip
    return Fit(answer, base, tested, small, large, tilde, null_error)
