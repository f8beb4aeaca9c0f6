"""How often do intervals hold the outcome, with an error that knows of overlap and of pairs moving together?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.research.causality.hac import long_run

F8 = NDArray[np.float64]
SLACK = {"pooled": 0.02, "stratum": 0.05}
"""How far from nominal coverage may be: 88 to 92 % pooled and 85 to 95 % in a stratum for 90 %."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """share of `n` outcomes inside intervals of `nominal` coverage; low, high : its 95 % interval. width : their mean,
    in units of y. within : the share lies inside the accepted band."""

    nominal: float
    share: float
    low: float
    high: float
    width: float
    n: int
    within: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def ratio(top: F8, bottom: F8, lags: int) -> tuple[float, float]:
    """Sum of `top` over sum of `bottom` (times,) and its Newey-West error over `lags` rows, by the delta method."""
    total = float(bottom.sum())
    share = float(top.sum()) / total
    return share, math.sqrt(max(float(long_run((top - share * bottom)[:, None], lags)[0, 0]), 0.0)) / total


def coverage(table: F8, nominal: float, lags: int, *, slack: float = SLACK["pooled"]) -> Coverage:
    """Of rows (times, 3): outcomes inside, outcomes, widths added up; times in order, all of them, so that a stratum's
    empty rows keep their place. Newey-West over `lags` rows of the table. EvaluationError below 50 outcomes."""
    inside, n, width = (table[:, k] for k in range(3))
    total = float(n.sum())
    if total < 50:
        raise EvaluationError(f"a coverage of {int(total)} outcomes asked, 50 are the least")
    share, error = ratio(inside, n, lags)
    return Coverage(
        nominal=nominal,
        share=share,
        low=max(share - 1.96 * error, 0.0),
        high=min(share + 1.96 * error, 1.0),
        width=float(width.sum()) / total,
        n=int(total),
        within=abs(share - nominal) <= slack + 1e-12,
    )
