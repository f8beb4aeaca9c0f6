"""Do outcomes fall between the forecast quantiles as often as these say? PIT histogram and a test of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.research.causality.distributions import chi2_tail
from bqx.research.causality.hac import long_run

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pit:
    """shares : of outcomes in each interval between quantiles; `nominal` what they should be. wald, p : of all being
    right, robust to overlap, chi-squared with a degree of freedom for each interval but one, fewer where several held
    nothing."""

    nominal: tuple[float, ...]
    shares: tuple[float, ...]
    wald: float
    p: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        return {"nominal": list(self.nominal), "shares": list(self.shares), "wald": self.wald, "p": self.p, "n": self.n}


def interval_of(y: F8, quantiles: F8) -> I8:
    """Number of quantiles (n, k), sorted, below each y (n,): 0 is under the first."""
    return np.asarray((y[:, None] > np.sort(quantiles, axis=1)).sum(axis=1), dtype=np.int64)


def pit_test(counts: F8, levels: F8, lags: int) -> Pit:
    """Test of the counts (times, k + 1) of outcomes by interval; rows are times in order, or sums over a few bars.

    The scores are counts less their expectation; their mean is judged by a Newey-West covariance over `lags` rows, so
    that overlap and pairs that move together are paid for (in the manner of Knueppel 2015, who uses moments).
    """
    nominal = np.diff(np.r_[0.0, levels, 1.0])
    if counts.shape[1] != len(nominal):
        raise EvaluationError(f"{counts.shape[1]} intervals counted for {len(levels)} quantiles")
    n = counts.sum(axis=1)
    total = float(n.sum())
    if total < 50:
        raise EvaluationError(f"a PIT of {int(total)} outcomes asked, 50 are the least")
    scores = (counts - n[:, None] * nominal)[:, :-1]
    off = scores.sum(axis=0)
    cov = long_run(scores - n[:, None] * off / total, lags)
    if not np.linalg.cond(cov) < 1e12:  # an interval that held nothing does not vary about its own mean
        cov = long_run(scores, lags)
    wald = float(off @ np.linalg.pinv(cov, rcond=1e-12, hermitian=True) @ off)
    p = chi2_tail(wald, int(np.linalg.matrix_rank(cov, tol=1e-12 * float(np.abs(cov).max()), hermitian=True)))
    shares = counts.sum(axis=0) / total
    return Pit(tuple(nominal.tolist()), tuple(shares.tolist()), wald, p, int(total))
