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
    """Regress y (n,) on f (n,), rows in order of time, errors robust over `lags` rows.

    None when f is constant: it has no slope. EvaluationError below 50 rows.
    """
    n = len(y)
    if n < FEWEST:
        raise EvaluationError(f"a calibration of {n} forecasts asked, {FEWEST} are the least")
    scale = float(f.std())
    if not scale > 1e-12 * max(float(np.abs(f).max()), 1e-300):
        return None
    X = np.column_stack([np.ones(n), f / scale])
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ (X.T @ y)
    cov = bread @ long_run(X * (y - X @ beta)[:, None], lags) @ bread
    off = beta - np.array([0.0, scale])
    wald = float(off @ np.linalg.solve(cov, off))
    errors = np.sqrt(np.diag(cov))
    return Calibration(
        a=float(beta[0]),
        b=float(beta[1] / scale),
        a_error=float(errors[0]),
        b_error=float(errors[1] / scale),
        wald=wald,
        p=chi2_tail(wald, 2) if math.isfinite(wald) else 0.0,
        n=n,
    )
