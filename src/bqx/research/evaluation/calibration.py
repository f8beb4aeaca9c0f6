"""Do outcomes follow forecasts one for one? The regression y = a + b f (Mincer and Zarnowitz 1969)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.research.causality.distributions import chi2_tail
from bqx.research.causality.hac import long_run

F8 = NDArray[np.float64]
FEWEST = 50


@dataclass(frozen=True, slots=True)
class Calibration:
    """a, b with Newey-West errors; wald, p : joint test of a = 0 and b = 1, chi-squared with 2 degrees of freedom."""

    a: float
    b: float
    a_error: float
    b_error: float
    wald: float
    p: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def calibrate(y: F8, f: F8, lags: int) -> Calibration | None:
    """Regress y (n,) on f (n,), rows in order of time, errors robust over `lags` rows; see :func:`from_moments`."""
    return from_moments(moments(y, f), lags)


def moments(y: F8, f: F8) -> F8:
    """What the regression needs of rows: 1, f, f^2, y, f y. Shape (n, 5); rows of one time may be added up."""
    return np.column_stack([np.ones(len(y)), f, f * f, y, f * y])


def from_moments(table: F8, lags: int) -> Calibration | None:
    """From :func:`moments`, added up over the pairs and bars of a time or not, (times, 5) in order of time.

    Newey-West over `lags` times of the sums, so that pairs moving together are paid for. None when the forecast is
    constant: it has no slope. EvaluationError below 50 rows.
    """
    n, sf, sff, sy, sfy = (float(v) for v in table.sum(axis=0))
    if n < FEWEST:
        raise EvaluationError(f"a calibration of {int(n)} forecasts asked, {FEWEST} are the least")
    mean, square = sf / n, sff / n
    if not square - mean * mean > 1e-20 * square:
        return None
    scale = math.sqrt(square - mean * mean)
    unit = table / np.array([1.0, scale, scale * scale, 1.0, scale])
    design = np.array([[n, sf / scale], [sf / scale, sff / scale**2]])
    bread = np.linalg.inv(design)
    beta = bread @ np.array([sy, sfy / scale])
    scores = np.column_stack([
        unit[:, 3] - beta[0] * unit[:, 0] - beta[1] * unit[:, 1],
        unit[:, 4] - beta[0] * unit[:, 1] - beta[1] * unit[:, 2],
    ])  # fmt: skip
    cov = bread @ long_run(scores, lags) @ bread
    off = beta - np.array([0.0, scale])
    if float(np.abs(off).max()) < 1e-9 * scale:  # right to the last digit: no error to judge by
        wald = 0.0
    else:
        wald = float(off @ np.linalg.solve(cov, off))
    errors = np.sqrt(np.diag(cov))
    return Calibration(
        a=float(beta[0]),
        b=float(beta[1] / scale),
        a_error=float(errors[0]),
        b_error=float(errors[1] / scale),
        wald=wald,
        p=chi2_tail(wald, 2),
        n=int(n),
    )
