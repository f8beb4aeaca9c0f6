"""False discovery rates: the q-value of each question of a family."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bqx.base.errors import CausalityError

F8 = NDArray[np.float64]


def harmonic(m: int) -> float:
    """1 + 1/2 + ... + 1/m: what Benjamini and Yekutieli pay for any dependence (7.2 for 756 questions)."""
    return float((1.0 / np.arange(1, m + 1)).sum())


def benjamini_hochberg(p: ArrayLike) -> F8:
    """q-values (Benjamini and Hochberg 1995): the least rate at which each would be a discovery; same order as p.

    Raises CausalityError for a p outside [0, 1]: a question without an answer enters with p = 1.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 1.0]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 1.0]
    """
    values = np.asarray(p, dtype=np.float64)
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        raise CausalityError(
            f"{int(wrong.sum())} of {values.size} p-values are not in [0, 1], the first is {values[wrong][0]}",
            fix="questions that could not be asked stay in the family with p = 1",
        )
    m = values.size
    order = np.argsort(values, kind="stable")
    scaled = values[order] * m / np.arange(1, m + 1)
    out = np.empty(m)
    out[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return out


def benjamini_yekutieli(p: ArrayLike) -> F8:
    """q-values that hold under any dependence (Benjamini and Yekutieli 2001): Hochberg's times 1 + 1/2 + ... + 1/m."""
    values = np.asarray(p, dtype=np.float64)
    return np.minimum(benjamini_hochberg(values) * harmonic(values.size), 1.0) if values.size else values
