"""Is a series stationary: Dickey and Fuller, and Kwiatkowski, Phillips, Schmidt and Shin, side by side."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CausalityError
from bqx.research.causality.distributions import normal_tail

F8 = NDArray[np.float64]
FEWEST = 50
_SMALL, _LARGE = (2.1659, 1.4412, 0.038269), (1.7339, 0.93202, -0.12745, -0.010368)
"""MacKinnon (1994), with a constant: normal quantile of p as polynomials in tau, below and above -1.61."""
_KPSS_AT, _KPSS_P = (0.347, 0.463, 0.574, 0.739), (0.10, 0.05, 0.025, 0.01)


@dataclass(frozen=True, slots=True)
class Stationarity:
    """adf_p small: no unit root. kpss_p small: not stationary around a level; its table ends at 0.01 and 0.10."""

    adf: float
    adf_p: float
    adf_lags: int
    kpss: float
    kpss_p: float
    kpss_lags: int

    @property
    def certain(self) -> bool:
        """Both agree at 5 %; otherwise lags are augmented (Toda and Yamamoto 1995)."""
        return self.adf_p < 0.05 and self.kpss_p > 0.05

    @property
    def word(self) -> str:
        if self.adf_p < 0.05:
            return "stationary" if self.kpss_p > 0.05 else "the tests disagree"
        return "unit root" if self.kpss_p <= 0.05 else "undecided"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.word}


def stationarity(x: F8) -> Stationarity:
    """Both tests of x (n,), finite values in order of time; CausalityError below 50 values or for a constant."""
    if len(x) < FEWEST or not np.isfinite(x).all() or not np.ptp(x) > 0:
        raise CausalityError(f"stationarity needs {FEWEST} finite values that vary, there are {len(x)}")
    return Stationarity(*dickey_fuller(x), *kpss(x))


def dickey_fuller(x: F8) -> tuple[float, float, int]:
    """tau of y(t-1) in dy(t) = c + g y(t-1) + lagged dy, its p (MacKinnon 1994) and the lags, chosen by BIC.

    Up to 12 (n / 100)^(1/4) lags (Schwert 1989), compared on one sample and fitted anew on all rows there are.
    """
    d = np.diff(x)
    most = min(math.ceil(12.0 * (len(x) / 100.0) ** 0.25), len(x) // 2 - 2)
    table = _regressors(x, d, most)
    n, k = len(table), table.shape[1] - 1
    corner = np.linalg.qr(table)[1][:, -1] ** 2
    rss = np.array([corner[j:].sum() for j in range(2, k + 1)])
    lags = int(np.argmin(n * np.log(rss / n) + math.log(n) * np.arange(2, k + 1)))
    table = _regressors(x, d, lags)
    X, y = table[:, :-1], table[:, -1]
    r = np.linalg.qr(X)[1]
    inverse = np.linalg.inv(r)
    coef = inverse @ (inverse.T @ (X.T @ y))
    error = y - X @ coef
    variance = float(error @ error) / (len(y) - X.shape[1])
    tau = float(coef[1] / math.sqrt(variance * float((inverse[1] ** 2).sum())))
    return tau, _mackinnon(tau), lags


def _regressors(x: F8, d: F8, lags: int) -> F8:
    """1, y(t-1), dy(t-1) ... dy(t-lags), then dy(t) itself."""
    n = len(d) - lags
    past = [d[lags - j : lags - j + n] for j in range(1, lags + 1)]
    return np.column_stack([np.ones(n), x[lags : lags + n], *past, d[lags:]])


def _mackinnon(tau: float) -> float:
    if tau > 2.74:
        return 1.0
    if tau < -18.83:
        return 0.0
    weights = _SMALL if tau <= -1.61 else _LARGE
    return normal_tail(-sum(w * tau**i for i, w in enumerate(weights)))


def kpss(x: F8) -> tuple[float, float, int]:
    """Statistic around a level, p interpolated in the published table, lags by Hobijn, Franses and Ooms (1998)."""
    n = len(x)
    e = x - x.mean()
    first = int(n ** (2.0 / 9.0))
    cov = np.array([float(e[k:] @ e[: n - k]) for k in range(first + 1)])
    s0, s1 = cov[0] / n + 2.0 * cov[1:].sum() / n, 2.0 * (np.arange(1, first + 1) * cov[1:]).sum() / n
    lags = min(int(1.1447 * ((s1 / s0) ** 2) ** (1.0 / 3.0) * n ** (1.0 / 3.0)), n - 1)
    weight = 1.0 - np.arange(1, lags + 1) / (lags + 1.0)
    more = np.array([float(e[k:] @ e[: n - k]) for k in range(1, lags + 1)])
    spread = (cov[0] + 2.0 * float((weight * more).sum())) / n
    statistic = float((np.cumsum(e) ** 2).sum() / (n * n) / spread)
    return statistic, float(np.interp(statistic, _KPSS_AT, _KPSS_P)), lags
