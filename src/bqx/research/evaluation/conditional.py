"""Can it be known beforehand which of two forecasts will be better? Giacomini and White (2006)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.research.causality.distributions import chi2_tail
from bqx.research.causality.hac import long_run

F8 = NDArray[np.float64]
FEWEST = 50


def giacomini_white(d: F8, known: F8, lags: int) -> tuple[float, float]:
    """Wald statistic and p of the hypothesis that the loss difference d (n,) has mean 0 given `known` (n, k).

    known : what could be seen when the forecasts were made; a constant is added. Newey-West over `lags` rows, centred.
    A column that never moves is refused (EvaluationError), as are fewer than 50 rows; (0, 1) when d never moves.
    """
    n = len(d)
    if n < FEWEST:
        raise EvaluationError(f"{n} loss differences, {FEWEST} are the least")
    spread = known.std(axis=0)
    if not (spread > 0.0).all():
        raise EvaluationError("a conditioning column is constant")
    z = np.column_stack([np.ones(n), (known - known.mean(axis=0)) / spread]) * d[:, None]
    mean = z.mean(axis=0)
    cov = long_run(z - mean, lags) / n
    if not np.linalg.cond(cov) < 1e12:
        return 0.0, 1.0
    wald = float(n * mean @ np.linalg.solve(cov, mean))
    return wald, chi2_tail(wald, len(mean))
